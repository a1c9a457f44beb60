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

std::string_view remark_on(core::Liveness liveness) {
  switch (liveness) {
    case core::Liveness::live_proved:
      break;
    case core::Liveness::live_unproved:
      return "  (not proved)";
    case core::Liveness::stale:
      return "  (stale)";
  }
  return "";
}

std::string text_of(const core::VerifiedStack& stack) {
  std::string text;
  for (const auto& [entry, liveness] : stack) {
    text += fmt::format("{:<14}  {:<9}  {:<8}  {}{}\n", core::name_of(entry.tier), sys::name_of(entry.mode),
                        fmt::format("pid {}", entry.pid), printable(entry.shown_name()), remark_on(liveness));
  }
  return text;
}

void define(Parser& parser, GlobalOptions& options) {
  parser.begin_group("Options");
  add_output_options(parser, options);
  add_layout_option(parser, options);
  add_help_options(parser);
  parser.set_help("Show the locks held by ancestors of this process, outermost first.", "grex-lock stack [OPTIONS]",
                  "Example: grex-lock run ~/ws/app -- grex-lock stack");
}

std::string document_of_stack(const core::VerifiedStack& stack) {
  Json document = document_of("stack");
  Json& entries = document["entries"] = Json::array();
  for (const auto& [entry, liveness] : stack) {
    entries.push_back(core::to_json(entry));
    entries.back()["live"] = core::is_live(liveness);
    entries.back()["proved"] = liveness == core::Liveness::live_proved;
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
