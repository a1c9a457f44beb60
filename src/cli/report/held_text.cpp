#include "cli/report/held_text.hpp"

#include <fmt/format.h>

#include "cli/report/json.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/stack_json.hpp"

namespace grex::cli {

std::string export_line(const core::TierStack& stack, ExportForm form) {
  const std::string text = stack.empty() ? "" : core::to_text(stack);
  return form == ExportForm::env ? fmt::format("{}={}\n", core::stack_variable, text)
                                 : fmt::format("export {}={}\n", core::stack_variable, in_quotes(text));
}

std::string held_document(std::string_view verb, const core::TierStack& held) {
  Json document = document_of(verb);
  Json& entries = document["locks"] = Json::array();
  for (const core::StackEntry& entry : held) entries.push_back(core::to_json(entry));
  return to_line(document);
}

std::string paths_of(const std::vector<core::HeldLock>& locks) {
  std::string paths;
  for (const core::HeldLock& lock : locks) paths += (paths.empty() ? "" : ", ") + lock.path();
  return paths;
}

}  // namespace grex::cli
