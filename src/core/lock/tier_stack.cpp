#include "core/lock/tier_stack.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "core/cluster/percent.hpp"
#include "core/lock/stack_json.hpp"

namespace grex::core {
namespace {

using json = nlohmann::ordered_json;

std::optional<std::string> text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

std::optional<std::uint64_t> number_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? std::optional(found->get<std::uint64_t>())
                                                              : std::nullopt;
}

std::optional<ClusterEntry> parse_cluster_entry(const json& entry) {
  if (!entry.is_object() || text_at(entry, "engine") != "etcd") return std::nullopt;
  auto id = text_at(entry, "id");
  auto ns = text_at(entry, "namespace");
  auto name = text_at(entry, "name");
  auto key = text_at(entry, "key");
  auto lease = text_at(entry, "lease");
  const auto token = number_at(entry, "token");
  if (!id || !ns || !name || name->empty() || !key || !token || !lease) return std::nullopt;
  return ClusterEntry{std::move(*id), std::move(*ns), std::move(*name), std::move(*key), *token, std::move(*lease)};
}

// A lock that only a cluster keeps has no path, dev and ino, but `taken`.
std::optional<StackEntry> parse_entry(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto tier = tier_named(text_at(entry, "tier").value_or(""));
  const auto mode = sys::mode_named(text_at(entry, "mode").value_or(""));
  const auto path = text_at(entry, "path");
  const auto dev = number_at(entry, "dev");
  const auto ino = number_at(entry, "ino");
  const auto pid = number_at(entry, "pid");
  const auto taken = number_at(entry, "taken");
  if (!taken && entry.contains("taken")) return std::nullopt;
  std::optional<ClusterEntry> cluster;
  if (entry.contains("cluster")) cluster = parse_cluster_entry(entry["cluster"]);
  if (!cluster && entry.contains("cluster")) return std::nullopt;
  const bool has_file = path && !path->empty() && dev && ino;
  const bool has_none = cluster && taken && !entry.contains("path") && !entry.contains("dev") && !entry.contains("ino");
  if (!tier || !mode || !pid || (!has_file && !has_none)) return std::nullopt;
  if (*pid == 0 || *pid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  const sys::FileId file = has_file ? sys::FileId{*dev, *ino} : sys::FileId{};
  return StackEntry{*tier, path.value_or(""), file, static_cast<pid_t>(*pid), *mode, taken, std::move(cluster)};
}

// By character.
constexpr std::array<bool, 256> is_special_in_shells = [] {
  std::array<bool, 256> is_special{};
  for (const char c : std::string_view(" !#$%&'()*;<=>?^`|~")) is_special.at(static_cast<unsigned char>(c)) = true;
  return is_special;
}();

// Escapes what some shell changes in a JSON text of ASCII, even within quotes: fish
// takes a backslash for its own within single quotes, csh an exclamation mark. The marks
// of JSON itself must stay.
std::string escape_for_shells(std::string document) {
  const auto changes = [](char c) { return c == '\\' || is_special_in_shells.at(static_cast<unsigned char>(c)); };
  if (std::none_of(document.begin(), document.end(), changes)) return document;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < document.size(); ++i) {
    const bool is_escape = document[i] == '\\';
    if (is_escape) ++i;
    const char c = document[i];
    if (is_escape ? c == '"' || c == '\\' : is_special_in_shells.at(static_cast<unsigned char>(c))) {
      const auto byte = static_cast<unsigned char>(c);
      text += {'\\', 'u', '0', '0', digits[byte >> 4U], digits[byte & 0xfU]};
      continue;
    }
    if (is_escape) text += '\\';
    text += c;
  }
  return text;
}

// What a name is after it has been passed on: what is not UTF-8 is replaced.
std::string as_in_stack(const std::string& name) {
  const bool is_plain = std::all_of(name.begin(), name.end(), is_printable_ascii);
  return is_plain ? name : json::parse(quoted_json(name, Charset::ascii)).get<std::string>();
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
  if (!entry.path.empty()) {
    document["path"] = entry.path;
    document["dev"] = entry.file.dev;
    document["ino"] = entry.file.ino;
  }
  document["pid"] = entry.pid;
  document["mode"] = sys::name_of(entry.mode);
  if (entry.taken) document["taken"] = *entry.taken;
  if (entry.cluster) {
    const ClusterEntry& cluster = *entry.cluster;
    document["cluster"] = {{"engine", "etcd"},      {"id", cluster.id},   {"namespace", cluster.ns},
                           {"name", cluster.name},  {"key", cluster.key}, {"token", cluster.token},
                           {"lease", cluster.lease}};
  }
  return document;
}

// The same members as in to_json(). Only ASCII: shells print it, and terminals interpret some
// other characters.
std::string to_text(const TierStack& stack) {
  fmt::memory_buffer text;
  const auto out = fmt::appender(text);
  text.push_back('[');
  const auto quoted = [](const std::string& value) { return escape_for_shells(quoted_json(value, Charset::ascii)); };
  for (const StackEntry& entry : stack) {
    fmt::format_to(out, FMT_COMPILE(R"({}{{"tier":"{}",)"), &entry == &stack.front() ? "" : ",", name_of(entry.tier));
    if (!entry.path.empty()) {
      fmt::format_to(out, FMT_COMPILE(R"("path":{},"dev":{},"ino":{},)"), quoted(entry.path), entry.file.dev,
                     entry.file.ino);
    }
    fmt::format_to(out, FMT_COMPILE(R"("pid":{},"mode":"{}")"), entry.pid, sys::name_of(entry.mode));
    if (entry.taken) fmt::format_to(out, FMT_COMPILE(R"(,"taken":{})"), *entry.taken);
    if (entry.cluster) {
      const ClusterEntry& cluster = *entry.cluster;
      fmt::format_to(
          out,
          FMT_COMPILE(
              R"(,"cluster":{{"engine":"etcd","id":{},"namespace":{},"name":{},"key":{},"token":{},"lease":{}}})"),
          quoted(cluster.id), quoted(cluster.ns), quoted(cluster.name), quoted(cluster.key), cluster.token,
          quoted(cluster.lease));
    }
    text.push_back('}');
  }
  text.push_back(']');
  return fmt::to_string(text);
}

void add_entry(TierStack& stack, StackEntry entry) {
  if (entry.mode == sys::Mode::exclusive) {
    std::erase_if(stack, [&entry](const StackEntry& other) {
      return !entry.path.empty() && !other.path.empty() && other.file == entry.file;
    });
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

bool is_of_cluster_lock(const StackEntry& entry, Tier tier, const std::string& ns, const std::string& name) {
  if (!entry.cluster || name.empty() || entry.tier != tier || entry.cluster->ns != ns) return false;
  const std::string shown = as_in_stack(name);
  if (as_in_stack(entry.cluster->name) != shown) return false;
  // Several names are shown so: only the key has every byte.
  constexpr std::string_view replacement = "\uFFFD";
  const bool is_ambiguous = shown.find(replacement) != std::string::npos;
  return !is_ambiguous || entry.cluster->key.find('/' + percent_encoded(name) + '/') != std::string::npos;
}

bool is_enough(sys::Mode held, sys::Mode wanted) { return held == sys::Mode::exclusive || wanted == sys::Mode::shared; }

Verdict judge(const VerifiedStack& stack, const WantedFile& wanted, Reentrant reentrant) {
  const auto is_in = [&wanted](const auto& files, const auto& paths, const StackEntry& entry) {
    if (entry.path.empty()) return false;
    const bool is_named = entry.tier == wanted.tier && std::find(paths.begin(), paths.end(), entry.path) != paths.end();
    return is_named || std::find(files.begin(), files.end(), entry.file) != files.end();
  };
  Verdict verdict;
  const VerifiedEntry* highest = nullptr;
  for (const VerifiedEntry& verified : stack) {
    const auto& [entry, liveness] = verified;
    const bool is_same_key = is_of_cluster_lock(entry, wanted.tier, wanted.cluster_ns, wanted.cluster_name);
    if (!is_live(liveness) || (!is_same_key && is_in(wanted.before, wanted.paths_before, entry))) continue;
    if (highest == nullptr || ordinal_of(entry.tier) > ordinal_of(highest->entry.tier)) highest = &verified;
    if (!is_same_key && !is_in(wanted.files, wanted.paths, entry)) continue;
    // Of another file in its place, or of one that is yet to be restored, another process may
    // take the lock.
    const bool is_file = std::find(wanted.files.begin(), wanted.files.end(), entry.file) != wanted.files.end();
    const bool is_proved = liveness == Liveness::live_proved && (is_file || is_same_key);
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
