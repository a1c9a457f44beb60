# The keeper of cluster locks: what it and its tests link.
add_library(keeper STATIC
  src/etcd/answers.cpp
  src/etcd/base64.cpp
  src/etcd/job.cpp
  src/etcd/keeper_loop.cpp
  src/etcd/key.cpp
  src/etcd/message_json.cpp
  src/etcd/requests.cpp
  src/etcd/server_version.cpp)
set_target_properties(keeper PROPERTIES IS_DYNAMIC ON)
target_link_libraries(keeper PUBLIC grexlock_flags)
if(GREX_LOCK_STATIC)
  # It is dynamic, and position-independent, so it compiles what it uses of the other rooms itself.
  target_sources(keeper PRIVATE
    src/base/fmt.cpp
    src/base/json_text.cpp
    src/base/time_text.cpp
    src/core/cluster/keeper_json.cpp
    src/core/cluster/keeper_reports.cpp
    src/core/cluster/keeper_requests.cpp
    src/core/cluster/lock_name.cpp
    src/core/cluster/percent.cpp
    src/core/lock/tier.cpp
    src/sys/file/file.cpp
    src/sys/file/io.cpp
    src/sys/file/owner.cpp
    src/sys/file/safe_walk.cpp
    src/sys/lock/flock.cpp
    src/sys/process/boot_timer_fd.cpp
    src/sys/process/descriptor_limit.cpp
    src/sys/process/independence.cpp
    src/sys/process/line_socket.cpp
    src/sys/process/pidfd.cpp
    src/sys/process/proc.cpp
    src/sys/process/proc_text.cpp
    src/sys/process/process_tree.cpp
    src/sys/process/shared_deadline.cpp
    src/sys/process/worker_thread.cpp
    src/sys/signal/blocked_signals.cpp
    src/sys/signal/signals.cpp)
  compile_from_src(keeper)
else()
  target_link_libraries(keeper PUBLIC grexlock)
endif()
compile_by_room(keeper)

# Its own package, so that the program needs no library.
if(NOT CMAKE_CROSSCOMPILING)
  find_package(CURL 7.85)
endif()
if(CURL_FOUND)
  add_executable(grex-lock-etcd
    src/etcd/acquisition.cpp
    src/etcd/breaking.cpp
    src/etcd/credentials.cpp
    src/etcd/etcd_engine.cpp
    src/etcd/etcd_release.cpp
    src/etcd/failure.cpp
    src/etcd/gateway.cpp
    src/etcd/held_watch.cpp
    src/etcd/http.cpp
    src/etcd/http_fault.cpp
    src/etcd/inquiry.cpp
    src/etcd/lease.cpp
    src/etcd/listing.cpp
    src/etcd/main.cpp
    src/etcd/turn.cpp)
  set_target_properties(grex-lock-etcd PROPERTIES IS_DYNAMIC ON)
  compile_by_room(grex-lock-etcd)
  # It has members of types that only it knows.
  set_property(SOURCE src/etcd/http.cpp PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
  if(GREX_LOCK_SANITIZE)
    set_target_properties(grex-lock-etcd PROPERTIES EXCLUDE_FROM_ALL ON) # no test runs it there
  endif()
  target_compile_definitions(grex-lock-etcd PRIVATE GREX_LOCK_VERSION="${PROJECT_VERSION}")
  target_link_libraries(grex-lock-etcd PRIVATE keeper CURL::libcurl)
else()
  message(STATUS "libcurl is missing: grex-lock-etcd is not built")
endif()
