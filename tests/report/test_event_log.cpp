#include "cli/report/event_log.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace grex;
using cli::Json;

TEST_CASE("in the log, a command is the name of its program, wherever it is in an event") {
  const Json event = {
      {"event", "inherited"},
      {"command", {"/usr/bin/rsync", "--password=s3cret"}},
      {"processes", {{{"pid", 1}, {"command", {"sshd: /home/ada s3cret"}}}, {{"pid", 2}, {"command", nullptr}}}},
      {"busy", {{"kind", "busy"}, {"holders", {{{"command", {"-bash", "s3cret"}}}}}}},
  };
  const Json logged = cli::without_arguments(event);
  CHECK(logged["command"] == Json({"rsync"}));
  CHECK(logged["processes"][0]["command"] == Json::array({"sshd:"}));
  CHECK(logged["processes"][1]["command"].is_null());
  CHECK(logged["busy"]["holders"][0]["command"] == Json::array({"-bash"}));
  CHECK(logged.dump().find("s3cret") == std::string::npos);
}

TEST_CASE("in the log, the message about a busy lock ends before its holder, and others are whole") {
  const auto message_of = [](const char* kind, const char* message) {
    const Json event = {{"error", {{"kind", kind}, {"message", message}}}};
    return cli::without_arguments(event)["error"]["message"].get<std::string>();
  };
  CHECK(message_of("busy", "busy: held by pid 1 (ada): make s3cret") == "busy");
  CHECK(message_of("timeout", "timed out after 2s: held by pid 1 (ada): make s3cret") == "timed out after 2s");
  CHECK(message_of("busy", "busy") == "busy");
  CHECK(message_of("reentry", "busy: already held by ancestor pid 7") == "busy: already held by ancestor pid 7");
}

TEST_CASE("in the log, a failure has no hint, and of a command that is not found only the first word") {
  const Json event = {{"error",
                       {{"kind", "exec"},
                        {"message", "command not found"},
                        {"path", "git push https://me:s3cret@host"},
                        {"hint", "try: grex-lock run app -- git push https://me:s3cret@host"}}}};
  const Json error = cli::without_arguments(event)["error"];
  CHECK(error["path"] == "git");
  CHECK_FALSE(error.contains("hint"));
}

TEST_CASE("the warning about a log says what is wrong with the file") {
  CHECK(cli::log_warning({ErrorKind::unsafe_file, "open", "/l", ELOOP}) ==
        "warning: cannot write the log: /l: a symbolic link");
  CHECK(cli::log_warning({ErrorKind::io, "write", "/l", ENOSPC}) ==
        "warning: cannot write the log: /l: No space left on device (write)");
}
