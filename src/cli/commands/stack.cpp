#include <fmt/format.h>

#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/inspect/liveness.hpp"
#include "core/lock/stack_json.hpp"

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

std::string document_of_stack(const std::vector<core::VerifiedEntry>& stack) {
  Json document = document_of("stack");
  Json& entries = document["entries"] = Json::array();
  for (const auto& [entry, liveness] : stack) {
    entries.push_back(core::to_json(entry));
    entries.back()["live"] = liveness == core::Liveness::live;
  }
  return to_line(document);
}

}  // namespace

Outcome stack(const CommandLine& line, Events&) {
  GlobalOptions global;
  if (const auto parsed = parse(line, global, define); !has_options(parsed)) return outcome_of(parsed);

  const auto inherited = inherited_stack();
  if (!inherited) return inherited.error();
  const auto verified = core::verify(*inherited);
  return print(global.json ? document_of_stack(verified) : text_of(verified));
}

}  // namespace grex::cli
