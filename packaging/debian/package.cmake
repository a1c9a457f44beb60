# `./dev package`, or `cpack` in a build directory, builds the Debian packages:
# grex-lock, and grex-lock-etcd if it was built.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
# By component, one package for each group; one without a group is a package of its
# own. Installing everything would overwrite install_manifest.txt, which must list
# what `cmake --install` last installed.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program documentation completions)
foreach(component PROGRAM DOCUMENTATION COMPLETIONS)
  set(CPACK_COMPONENT_${component}_GROUP main)
endforeach()
if(TARGET grex-lock-etcd)
  list(APPEND CPACK_COMPONENTS_ALL etcd)
endif()
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/arrange.cmake)

# CPack would put this line before each description. They have their own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_DEBIAN_MAIN_PACKAGE_NAME grex-lock)
set(CPACK_DEBIAN_MAIN_DESCRIPTION "\
lock the packs and workspaces of grex, as flock(1) locks files
grex manages trees of git repositories, which it calls packs. grex-lock
takes the locks of grex around a command, or for the rest of a script, so
that scripts and grex do not work on a pack at the same time. It shows which
processes hold the locks and which wait.

Its options are those of flock(1).")

set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_ETCD_PACKAGE_NAME grex-lock-etcd)
set(CPACK_DEBIAN_ETCD_PACKAGE_SOURCE grex-lock)
# They speak a protocol with each other that may differ between versions.
set(CPACK_DEBIAN_ETCD_PACKAGE_DEPENDS "grex-lock (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_ETCD_DESCRIPTION "\
locks of grex-lock that span machines, in etcd
grex-lock takes the locks of grex, which manages trees of git repositories,
around a command or for the rest of a script. With this package and the
option --cluster, each lock is also a key in an etcd cluster, so it excludes
jobs on other machines.

The package has the program that grex-lock starts to speak to the cluster.")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The grex-lock authors <grex-lock@users.noreply.github.com>")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The static program depends on nothing, grex-lock-etcd on its libraries.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
