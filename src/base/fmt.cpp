// The implementation of fmt, compiled once. Debian ships fmt as a shared library and as
// headers. The static program needs objects, and with the headers alone, every file that
// formats would compile fmt again.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
// <fmt/format.h> declares these `extern template`.
template FMT_API auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto decimal_point_impl<char>(locale_ref) -> char;
// <fmt/format.h> calls these, but only this file defines them.
template FMT_API auto dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API locale_ref::locale_ref(const std::locale& loc);
template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;
}  // namespace detail
FMT_END_NAMESPACE
