#include "core/lock/tier_stack.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/json_text.hpp"
#include "core/lock/stack_json.hpp"

namespace grex::core {
namespace {

using json = nlohmann::ordered_json;

std::optional<StackEntry> parse_entry(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto text = [&entry](const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
  };
  const auto number = [&entry](const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_number_unsigned() ? std::optional(found->get<std::uint64_t>())
                                                               : std::nullopt;
  };
  const auto tier = tier_named(text("tier").value_or(""));
  const auto mode = sys::mode_named(text("mode").value_or(""));
  const auto path = text("path");
  const auto dev = number("dev");
  const auto ino = number("ino");
  const auto pid = number("pid");
  if (!tier || !mode || !path || path->empty() || !dev || !ino || !pid) return std::nullopt;
  if (*pid == 0 || *pid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  const auto taken = number("taken");
  if (!taken && entry.contains("taken")) return std::nullopt;
  return StackEntry{*tier, *path, {*dev, *ino}, static_cast<pid_t>(*pid), *mode, taken};
}

// Escapes what some shell changes in a JSON text of ASCII, even within quotes: fish
// takes a backslash for its own within single quotes, csh an exclamation mark. The marks
// of JSON itself must stay.
std::string escape_for_shells(std::string_view document) {
  constexpr std::string_view special = " !#$%&'()*;<=>?^`|~";
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < document.size(); ++i) {
    const bool is_escape = document[i] == '\\';
    if (is_escape) ++i;
    const char c = document[i];
    if (is_escape ? c == '"' || c == '\\' : special.find(c) != std::string_view::npos) {
      const auto byte = static_cast<unsigned char>(c);
      text += {'\\', 'u', '0', '0', digits[byte >> 4U], digits[byte & 0xfU]};
      continue;
    }
    if (is_escape) text += '\\';
    text += c;
  }
  return text;
}

}  // namespace

Result<TierStack> parse_tier_stack(std::string_view text) {
  const Error garbage = {ErrorKind::stack, "parse", {}, 0};
  if (text.empty()) return TierStack{};
  if (text.size() > longest_stack_text) return garbage;
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_array()) return garbage;
  TierStack stack;
  for (const auto& item : document) {
    auto entry = parse_entry(item);
    if (!entry) return garbage;
    stack.push_back(std::move(*entry));
  }
  return stack;
}

json to_json(const StackEntry& entry) {
  json document;
  document["tier"] = name_of(entry.tier);
  document["path"] = entry.path;
  document["dev"] = entry.file.dev;
  document["ino"] = entry.file.ino;
  document["pid"] = entry.pid;
  document["mode"] = sys::name_of(entry.mode);
  if (entry.taken) document["taken"] = *entry.taken;
  return document;
}

// The same members as in to_json(). Only ASCII: shells print it, and terminals interpret some
// other characters.
std::string to_text(const TierStack& stack) {
  fmt::memory_buffer text;
  const auto out = fmt::appender(text);
  text.push_back('[');
  for (const StackEntry& entry : stack) {
    fmt::format_to(out, FMT_COMPILE(R"({}{{"tier":"{}","path":{},"dev":{},"ino":{},"pid":{},"mode":"{}")"),
                   &entry == &stack.front() ? "" : ",", name_of(entry.tier),
                   escape_for_shells(quoted_json(entry.path, Charset::ascii)), entry.file.dev, entry.file.ino,
                   entry.pid, sys::name_of(entry.mode));
    if (entry.taken) fmt::format_to(out, FMT_COMPILE(R"(,"taken":{})"), *entry.taken);
    text.push_back('}');
  }
  text.push_back(']');
  return fmt::to_string(text);
}

void add_entry(TierStack& stack, StackEntry entry) {
  if (entry.mode == sys::Mode::exclusive) {
    std::erase_if(stack, [&entry](const StackEntry& other) { return other.file == entry.file; });
  }
  stack.push_back(std::move(entry));
}

TierStack live_entries(const VerifiedStack& stack) {
  TierStack entries;
  for (const auto& [entry, liveness] : stack) {
    if (is_live(liveness)) entries.push_back(entry);
  }
  return entries;
}

bool is_enough(sys::Mode held, sys::Mode wanted) { return held == sys::Mode::exclusive || wanted == sys::Mode::shared; }

Verdict judge(const VerifiedStack& stack, const WantedFile& wanted, Reentrant reentrant) {
  const auto is_in = [&wanted](const auto& files, const auto& paths, const StackEntry& entry) {
    const bool is_named = entry.tier == wanted.tier && std::find(paths.begin(), paths.end(), entry.path) != paths.end();
    return is_named || std::find(files.begin(), files.end(), entry.file) != files.end();
  };
  Verdict verdict;
  const VerifiedEntry* highest = nullptr;
  for (const VerifiedEntry& verified : stack) {
    const auto& [entry, liveness] = verified;
    if (!is_live(liveness) || is_in(wanted.before, wanted.paths_before, entry)) continue;
    if (highest == nullptr || ordinal_of(entry.tier) > ordinal_of(highest->entry.tier)) highest = &verified;
    if (!is_in(wanted.files, wanted.paths, entry)) continue;
    // Of another file in its place, or of one that is yet to be restored, another process may
    // take the lock.
    const bool is_file = std::find(wanted.files.begin(), wanted.files.end(), entry.file) != wanted.files.end();
    const bool is_proved = liveness == Liveness::live_proved && is_file;
    if (reentrant == Reentrant::yes && is_proved && is_enough(entry.mode, wanted.mode)) {
      return {Verdict::Kind::already_ours, &verified};
    }
    if (reentrant == Reentrant::no || is_proved) {
      verdict = {Verdict::Kind::reentry, &verified};
    } else if (verdict.kind == Verdict::Kind::take) {
      verdict = {Verdict::Kind::seems_ours, &verified};
    }
  }
  const bool is_violation = highest != nullptr && ordinal_of(wanted.tier) <= ordinal_of(highest->entry.tier);
  if (verdict.kind == Verdict::Kind::take && is_violation) return {Verdict::Kind::tier_violation, highest};
  return verdict;
}

}  // namespace grex::core
