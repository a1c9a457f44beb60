#include "etcd/base64.hpp"

#include <cstdint>

namespace grex::etcd {
namespace {

constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t bytes_in_group = 3;
constexpr std::size_t digits_in_group = 4;
constexpr unsigned bits_in_digit = 6;
constexpr unsigned bits_in_byte = 8;
constexpr char padding = '=';

std::string encode_group(std::string_view bytes) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < bytes_in_group; ++i) {
    bits = bits << bits_in_byte | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
  }
  std::string text(digits_in_group, padding);
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    const auto shift = static_cast<unsigned>(digits_in_group - 1 - i) * bits_in_digit;
    text[i] = digits[bits >> shift & 0x3fU];
  }
  return text;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += bytes_in_group) {
    text += encode_group(bytes.substr(at, bytes_in_group));
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  const std::string_view unpadded = text.substr(0, text.find(padding));
  for (const char c : unpadded) {
    const auto digit = digits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << bits_in_digit | static_cast<std::uint32_t>(digit);
    count += bits_in_digit;
    if (count < bits_in_byte) continue;
    count -= bits_in_byte;
    bytes += static_cast<char>(bits >> count & 0xffU);
  }
  return to_base64(bytes) == text ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace grex::etcd
