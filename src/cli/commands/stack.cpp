#include <fmt/format.h>

#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"

namespace grex::cli {
namespace {

std::string text_of(const std::vector<core::VerifiedEntry>& stack) {
  std::string text;
  for (const auto& [entry, liveness] : stack) {
    text += fmt::format("{:<14}  {:<9}  {:<8}  {}{}\n", core::name_of(entry.tier), sys::name_of(entry.mode),
                        fmt::format("pid {}", entry.pid), printable(entry.path),
                        liveness == core::Liveness::live ? "" : "  (no longer held)");
  }
  return text;
}

void define(Parser& parser, GlobalOptions& options) {
  add_global_options(parser, options);
  parser.set_help("Show the locks that the ancestors of this process hold, outermost first.",
                  "grex-lock stack [OPTIONS]",
                  "Examples:\n"
                  "  grex-lock run ~/ws/app -- grex-lock stack\n"
                  "  grex-lock run ~/ws/app -c 'grex-lock stack --json'");
}

}  // namespace

Outcome stack(const Invocation& invocation) {
  GlobalOptions global;
  if (auto outcome = parse(invocation, global, define)) return *outcome;

  const auto inherited = inherited_stack();
  if (const auto* failure = std::get_if<Failure>(&inherited)) return failed(*failure);
  const auto verified = core::verify(std::get<core::TierStack>(inherited));
  return print(global.json ? stack_document(verified) : text_of(verified));
}

}  // namespace grex::cli
