#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace grex::test {

/// The events in a text, which has one in each line.
inline std::vector<nlohmann::json> events_in(const std::string& text) {
  std::vector<nlohmann::json> events;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  return events;
}

inline Words names_of(const std::vector<nlohmann::json>& events) {
  Words names;
  for (const nlohmann::json& event : events) names.push_back(event["event"]);
  return names;
}

}  // namespace grex::test
