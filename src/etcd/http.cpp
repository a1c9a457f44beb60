#include "etcd/http.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <optional>
#include <set>
#include <utility>

#include "etcd/http_fault.hpp"

namespace grex::etcd {
namespace {

constexpr long connect_timeout = 1000;  // milliseconds
constexpr int longest_wait = 3'600'000;

struct EasyDeleter {
  void operator()(CURL* easy) const { ::curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

HeaderList header_list(const std::vector<std::string>& headers) {
  HeaderList list;
  for (const std::string& header : headers) {
    curl_slist* const longer = ::curl_slist_append(list.get(), header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    (void)list.release();
    list.reset(longer);
  }
  return list;
}

void set_tls(CURL* easy, const Credentials& credentials, TlsVersions versions) {
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  constexpr long first = CURL_SSLVERSION_TLSv1_2;
  ::curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     first | (versions == TlsVersions::all ? 0L : static_cast<long>(CURL_SSLVERSION_MAX_TLSv1_2)));
  if (!credentials.ca.empty()) ::curl_easy_setopt(easy, CURLOPT_CAINFO, credentials.ca.c_str());
  if (!credentials.certificate.empty()) ::curl_easy_setopt(easy, CURLOPT_SSLCERT, credentials.certificate.c_str());
  if (!credentials.key.empty()) ::curl_easy_setopt(easy, CURLOPT_SSLKEY, credentials.key.c_str());
}

void set_transport(CURL* easy) {
  ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
  ::curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  ::curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout);
  ::curl_easy_setopt(easy, CURLOPT_USERAGENT, "grex-lock-etcd/" GREX_LOCK_VERSION);
}

}  // namespace

struct Http::Shared {
  Credentials credentials;
  CURLM* multi = nullptr;
  std::set<Transfer*> transfers;  // that have not been removed
};

class Http::Transfer : public HttpTransfer {
 public:
  Transfer(Shared& shared, HttpRequest request, Done done, Line line)
      : shared_(shared),
        request_(std::move(request)),
        done_(std::move(done)),
        line_(std::move(line)),
        easy_(::curl_easy_init()),
        headers_(header_list(request_.headers)) {
    if (!easy_) throw std::bad_alloc();
    CURL* const easy = easy_.get();
    set_transport(easy);
    set_tls(easy, shared.credentials, request_.tls);
    ::curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
    ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
    ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_.data());
    ::curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    if (!request_.body.empty()) {
      ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    }
    ::curl_multi_add_handle(shared.multi, easy);
    shared.transfers.insert(this);
  }
  ~Transfer() override { remove(); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Calls `done`, which may destroy this.
  void finish(CURLcode code) {
    HttpAnswer answer;
    ::curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    long err = 0;
    ::curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &err);
    answer.fault = fault_of(code, error_.data());
    if (answer.fault != HttpFault::none) answer.why = explanation_of(code, error_.data(), static_cast<int>(err));
    answer.body = std::move(received_);
    remove();
    const Done done = std::move(done_);
    done(std::move(answer));
  }

  // The next line that has come, of a stream.
  std::optional<std::string> take_line() {
    const auto end = line_ ? received_.find('\n') : std::string::npos;
    if (end == std::string::npos) return std::nullopt;
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    return line;
  }

  // May destroy this.
  void pass(const std::string& line) const {
    const Line pass_on = line_;
    pass_on(line);
  }

 private:
  static std::size_t receive(const char* bytes, std::size_t, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.received_.size() + size > longest_answer) return 0;
    try {
      transfer.received_.append(bytes, size);
    } catch (const std::bad_alloc&) {
      return 0;  // libcurl is C, and lets no exception through
    }
    return size;
  }

  void remove() {
    if (!easy_) return;
    ::curl_multi_remove_handle(shared_.multi, easy_.get());
    easy_.reset();
    shared_.transfers.erase(this);
  }

  Shared& shared_;
  HttpRequest request_;
  Done done_;
  Line line_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  HeaderList headers_;
  std::string received_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

Http::Http(const Credentials& credentials) : shared_(std::make_unique<Shared>()) {
  ::curl_global_init(CURL_GLOBAL_DEFAULT);
  shared_->credentials = credentials;
  shared_->multi = ::curl_multi_init();
  if (shared_->multi == nullptr) throw std::bad_alloc();
}

Http::~Http() {
  ::curl_multi_cleanup(shared_->multi);
  ::curl_global_cleanup();
}

std::unique_ptr<HttpTransfer> Http::start(HttpRequest request, Done done, Line line) {
  return std::make_unique<Transfer>(*shared_, std::move(request), std::move(done), std::move(line));
}

void Http::wait(std::span<pollfd> others) {
  std::vector<curl_waitfd> fds;
  for (const pollfd& other : others) {
    if (other.fd < 0) continue;
    const bool for_writing = (other.events & POLLOUT) != 0;
    fds.push_back({other.fd, static_cast<short>(CURL_WAIT_POLLIN | (for_writing ? CURL_WAIT_POLLOUT : 0)), 0});
  }
  // It shortens this by its own timers.
  ::curl_multi_poll(shared_->multi, fds.data(), static_cast<unsigned>(fds.size()), longest_wait, nullptr);
  // It reports no hang-up of the others.
  (void)::poll(others.data(), others.size(), 0);
}

void Http::advance() {
  int running = 0;
  ::curl_multi_perform(shared_->multi, &running);
  const std::set<Transfer*> transfers = shared_->transfers;
  for (Transfer* const transfer : transfers) {
    while (shared_->transfers.contains(transfer)) {
      const auto line = transfer->take_line();
      if (!line) break;
      transfer->pass(*line);
    }
  }
  int left = 0;
  while (const CURLMsg* const message = ::curl_multi_info_read(shared_->multi, &left)) {
    char* transfer = nullptr;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    const CURLcode code = message->data.result;  // NOLINT(cppcoreguidelines-pro-type-union-access): libcurl's
    reinterpret_cast<Transfer*>(transfer)->finish(code);
  }
}

}  // namespace grex::etcd
