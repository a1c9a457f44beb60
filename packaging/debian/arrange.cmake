# CPack runs this on the files that `cmake --install` has staged, before it packs
# them. It arranges them as Debian's policy and tools require.
cmake_minimum_required(VERSION 3.25)
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/main/usr)
set(doc ${usr}/share/doc/grex-lock)
set(etcd_usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/etcd/usr)
set(readable FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

# Debian's zsh does not search /usr/share/zsh/site-functions.
file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)

# `copyright` contains the licences.
file(REMOVE ${doc}/LICENSE-MIT ${doc}/LICENSE-APACHE)
configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright ${doc}/copyright COPYONLY ${readable})

# The changelog of the package needs only the packed release.
file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
file(STRINGS ${doc}/changelog heading REGEX "^## \\[${CPACK_PACKAGE_VERSION}\\] - ")
if(NOT heading MATCHES " - ([0-9-]+)$")
  message(FATAL_ERROR "CHANGELOG.md has no date of version ${CPACK_PACKAGE_VERSION}")
endif()
execute_process(COMMAND date --utc --rfc-email --date=${CMAKE_MATCH_1}
  OUTPUT_VARIABLE released OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${doc}/changelog.Debian @ONLY ${readable})

execute_process(COMMAND gzip -9n ${doc}/changelog ${doc}/changelog.Debian
  ${usr}/share/man/man1/grex-lock.1 ${usr}/share/man/man7/grex-lock.7
  COMMAND_ERROR_IS_FATAL ANY)

set(names grex-lock)
set(directories ${usr})
if(EXISTS ${etcd_usr})
  file(COPY ${doc}/copyright ${doc}/changelog.gz ${doc}/changelog.Debian.gz
    DESTINATION ${etcd_usr}/share/doc/grex-lock-etcd)
  list(APPEND names grex-lock-etcd)
  list(APPEND directories ${etcd_usr})
endif()

foreach(name directory IN ZIP_LISTS names directories)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.lintian-overrides ${directory}/share/lintian/overrides/${name}
    COPYONLY ${readable})
  # The modes must not depend on the umask.
  file(CHMOD_RECURSE ${directory} DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endforeach()
