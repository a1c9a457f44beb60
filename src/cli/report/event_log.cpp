#include "cli/report/event_log.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <string_view>

#include "base/text.hpp"
#include "cli/report/failure.hpp"
#include "sys/file/no_follow.hpp"
#include "sys/file/safe_walk.hpp"

namespace grex::cli {
namespace {

// Of this value and all that it contains.
void remove_arguments(Json& value) {
  if (value.is_object()) {
    const auto command = value.find("command");
    if (command != value.end() && command->is_array() && !command->empty() && command->front().is_string()) {
      *command = Json::array({program_name(command->front().get<std::string>())});
    }
  }
  if (!value.is_structured()) return;
  for (Json& part : value) remove_arguments(part);
}

// What the message of a busy lock says of its holder is in `holders`, too. A hint may be a
// whole command line, and so may a command that is not found.
void shorten_reason(Json& reason) {
  reason.erase("hint");
  const std::string kind = reason.value("kind", "");
  if (kind == name_of(ErrorKind::exec)) reason["path"] = program_name(reason.value("path", ""));
  if (kind != name_of(ErrorKind::busy) && kind != name_of(ErrorKind::timeout)) return;
  const std::string message = reason.value("message", "");
  reason["message"] = message.substr(0, message.find(": "));
}

std::string why_not(const Error& error) {
  if (error.op == sys::writable_step) return "other users than root can change it";
  if (error.op == sys::check_owner) return "belongs to another user";
  if (error.err == EMLINK) return "has a second hard link";
  if (error.err == ENXIO) return "not a regular file";  // a FIFO, or a socket
  return failure_from(error).why;
}

}  // namespace

Json without_arguments(Json event) {
  remove_arguments(event);
  for (const char* const reason : {"busy", "error"}) {
    const auto found = event.find(reason);
    if (found != event.end() && found->is_object()) shorten_reason(*found);
  }
  return event;
}

std::string log_warning(const Error& error) {
  return fmt::format("warning: cannot write the log: {}: {}", error.path, why_not(error));
}

}  // namespace grex::cli
