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

std::vector<std::string> token_settings(const std::vector<core::HeldLock>& locks) {
  Json tokens = Json::array();
  core::ClusterEntry last;
  for (const core::HeldLock& lock : locks) {
    if (!lock.cluster()) continue;
    last = *lock.cluster();
    tokens.push_back({{"tier", core::name_of(lock.tier())}, {"name", last.name}, {"token", last.token}});
  }
  std::vector<std::string> settings;
  if (tokens.size() == 1) {
    settings = {fmt::format("GREX_LOCK_TOKEN={}", last.token), "GREX_LOCK_CLUSTER_KEY=" + last.key};
  } else {
    settings = {"GREX_LOCK_TOKEN", "GREX_LOCK_CLUSTER_KEY"};
  }
  if (tokens.empty()) {
    settings.insert(settings.end(), {"GREX_LOCK_TOKENS", "GREX_LOCK_CLUSTER_ID"});
  } else {
    settings.insert(settings.end(),
                    {"GREX_LOCK_TOKENS=" + tokens.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace),
                     "GREX_LOCK_CLUSTER_ID=" + last.id});
  }
  return settings;
}

std::string cluster_text_of(const std::vector<core::HeldLock>& locks) {
  std::string text;
  for (const core::HeldLock& lock : locks) {
    if (!lock.cluster()) continue;
    text += fmt::format("{}{} (token {})", text.empty() ? "" : ", ", lock.cluster()->name, lock.cluster()->token);
  }
  return text;
}

std::string cluster_names_of(const std::vector<core::HeldLock>& locks) {
  std::string names;
  for (const core::HeldLock& lock : locks) {
    if (lock.cluster()) names += (names.empty() ? "" : ", ") + lock.cluster()->name;
  }
  return names;
}

}  // namespace grex::cli
