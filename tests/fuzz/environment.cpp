// /proc/PID/environ, which has the tier stack of another process.

#include "core/lock/tier_stack.hpp"
#include "fuzz.hpp"
#include "sys/process/proc_text.hpp"

using namespace grex;
using fuzz::require;

namespace {

// As getenv(3) finds it.
std::optional<std::string> value_of(std::string_view environment, const std::string& name) {
  for (const std::string& variable : fuzz::split(environment, '\0')) {
    if (variable.starts_with(name + "=")) return variable.substr(name.size() + 1);
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view environment = fuzz::text_of(data, size);
  for (const char* const name : {core::stack_variable, "A"}) {
    const auto value = sys::parse_variable(environment, name);
    require(value == value_of(environment, name));
    require(!value || fuzz::is_within(*value, environment));
  }
  // A later variable of the same name does not count.
  const std::string stack_text = R"([{"tier":"per-pack","path":"/p","dev":1,"ino":2,"pid":3,"mode":"shared"}])";
  std::string longer = std::string(core::stack_variable) + "=" + stack_text;
  longer += '\0';
  longer += environment;
  const auto stack = core::parse_tier_stack(sys::parse_variable(longer, core::stack_variable).value_or(""));
  require(stack && stack->size() == 1);
  return 0;
}
