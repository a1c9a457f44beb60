#pragma once

#include <nlohmann/json.hpp>

#include "etcd/messages.hpp"

namespace grex::etcd {

using json = nlohmann::json;

/// The object in a text; nullopt if it is none, or nested too deeply.
std::optional<json> parse_object(std::string_view text);

/// The member of an object; null if there is none.
const json& member(const json& object, const char* key);

/// Numbers of 64 bits are strings in this JSON, and 0 is left out. nullopt for anything else.
std::optional<std::int64_t> number_in(const json& object, const char* key);
std::optional<std::uint64_t> unsigned_in(const json& object, const char* key);

/// Missing strings are empty. nullopt for what is no string, or not base64.
std::optional<std::string> text_in(const json& object, const char* key);
std::optional<std::string> bytes_in(const json& object, const char* key);

/// Missing booleans are false.
bool is_set(const json& object, const char* key);

std::optional<Header> header_in(const json& object);
std::optional<KeyValue> parse_key_value(const json& object);
std::optional<std::vector<KeyValue>> key_values_in(const json& object);

}  // namespace grex::etcd
