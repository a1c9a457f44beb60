# `./dev package`, or `cpack` in a build directory, builds the Debian package.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
# By component: installing everything would overwrite install_manifest.txt, which
# must list what `cmake --install` last installed.
set(CPACK_INSTALL_CMAKE_PROJECTS
  ${PROJECT_BINARY_DIR} grex-lock program /
  ${PROJECT_BINARY_DIR} grex-lock documentation /
  ${PROJECT_BINARY_DIR} grex-lock completions /)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/arrange.cmake)

set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "lock the packs and workspaces of grex, as flock(1) locks files")
set(CPACK_PACKAGE_DESCRIPTION "\
grex manages trees of git repositories, which it calls packs. grex-lock
takes the locks of grex around a command, or for the rest of a script, so
that scripts and grex do not work on a pack at the same time. It shows which
processes hold the locks and which wait.

Its options are those of flock(1).")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The grex-lock authors <grex-lock@users.noreply.github.com>")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The static binary depends on nothing.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
