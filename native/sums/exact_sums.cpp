#include "sums/exact_sums.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace centroids {
namespace {

constexpr std::uint64_t most_odd_additions = std::uint64_t(1) << 29; // each has 32 bits of 63

// value * 2^shift, or false where 128 bits do not hold it.
bool shifted(Int128 value, int shift, Int128* result) {
    if (value == 0) {
        *result = 0;
        return true;
    }
    if (shift > 126) return false;
    *result = static_cast<Int128>(static_cast<UInt128>(value) << shift);
    return *result >> shift == value;
}

UInt128 magnitude_of(Int128 value) {
    return value < 0 ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
}

// Bytes in the order of this machine, which is little-endian wherever there is a wheel.
class Writer {
  public:
    template <class T>
    void put(T value) {
        put_all(&value, 1);
    }
    template <class T>
    void put_all(const T* values, std::size_t count) {
        if (count > 0) bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
    }
    std::string bytes;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    template <class T>
    T get() {
        T value;
        get_all(&value, 1);
        return value;
    }
    template <class T>
    void get_all(T* values, std::size_t count) {
        if (count > rest_.size() / sizeof(T)) damaged();
        if (count > 0) std::memcpy(values, rest_.data(), count * sizeof(T));
        rest_.remove_prefix(count * sizeof(T));
    }
    bool at_end() const { return rest_.empty(); }
    std::size_t left() const { return rest_.size(); }
    [[noreturn]] static void damaged() {
        throw std::invalid_argument("these bytes are not exact sums of this version of centroids");
    }

  private:
    std::string_view rest_;
};

constexpr std::uint32_t magic = 0x316d7573; // "sum1"

// The upper halves of all sums take this many bytes each.
std::size_t bytes_of_upper(const std::vector<Int128>& sums) {
    std::int64_t most = 0;
    for (const Int128 sum : sums) {
        const auto upper = static_cast<std::int64_t>(sum >> 64);
        most |= upper < 0 ? ~upper : upper;
    }
    for (const std::size_t bytes : {1, 2, 4})
        if (most >> (8 * bytes - 1) == 0) return bytes;
    return 8;
}

} // namespace

void OddDigits::add(std::size_t index, UInt128 magnitude, int exponent, bool subtract) {
    const auto place = static_cast<unsigned>(exponent - ExactTotal::last_bit);
    const std::int64_t sign = subtract ? -1 : 1;
    std::uint64_t key = static_cast<std::uint64_t>(index) << 7 | place / 32;
    for (unsigned shift = place % 32; magnitude != 0; shift = 0, ++key) {
        const unsigned taken = 32 - shift;
        const auto bits = static_cast<std::uint64_t>(magnitude & ((UInt128(1) << taken) - 1));
        if (bits != 0) digits_[key] += static_cast<std::int64_t>(bits << shift) * sign;
        magnitude >>= taken;
    }
    if (++additions_ >= most_odd_additions) settle();
}

void OddDigits::add(const OddDigits& other, bool subtract, std::size_t first) {
    for (const Digit digit : other.sorted())
        digits_[digit.key + (static_cast<std::uint64_t>(first) << 7)] +=
            subtract ? -digit.value : digit.value;
    if (++additions_ >= most_odd_additions) settle();
}

void OddDigits::settle() {
    const std::vector<Digit> settled = sorted();
    digits_.clear();
    for (const Digit digit : settled) digits_[digit.key] = digit.value;
    additions_ = 0;
}

std::vector<OddDigits::Digit> OddDigits::sorted() const {
    std::vector<Digit> all;
    all.reserve(digits_.size());
    for (const auto& [key, value] : digits_)
        if (value != 0) all.push_back({key, value});
    std::sort(all.begin(), all.end(), [](Digit a, Digit b) { return a.key < b.key; });
    std::vector<Digit> settled;
    settled.reserve(all.size());
    std::uint64_t carry_key = 0;
    std::int64_t carry = 0;
    const auto put = [&](std::uint64_t key, std::int64_t value) {
        constexpr std::int64_t half = std::int64_t(1) << 31;
        carry = (value + half) >> 32;
        carry_key = key + 1;
        const std::int64_t rest = value - carry * (half * 2);
        if (rest != 0) settled.push_back({key, rest});
    };
    for (const Digit digit : all) {
        while (carry != 0 && carry_key < digit.key) put(carry_key, carry);
        put(digit.key, digit.value + (carry != 0 ? carry : 0));
    }
    while (carry != 0) put(carry_key, carry);
    return settled;
}

ExactSums::ExactSums(std::size_t num_clusters, std::size_t dimensions,
                     std::vector<std::int32_t> units)
    : num_clusters_(num_clusters), dimensions_(dimensions), units_(std::move(units)),
      narrow_(num_clusters * dimensions, 0) {
    units_.resize(dimensions, 0);
}

void ExactSums::collect(std::size_t cluster, const std::int64_t* first, const std::int64_t* second,
                        int shift) {
    const std::size_t from = cluster * dimensions_;
    if (!wide() && !second) {
        for (std::size_t j = 0; j < dimensions_; ++j) narrow_[from + j] += first[j];
        return;
    }
    if (!wide()) widen();
    for (std::size_t j = 0; j < dimensions_; ++j) {
        const Int128 more =
            second ? (static_cast<Int128>(first[j]) << shift) + second[j] : Int128(first[j]);
        Int128& sum = wide_[from + j];
        if (!__builtin_add_overflow(sum, more, &sum)) continue;
        sum -= more; // wraps back
        odd_.add(from + j, magnitude_of(more), units_[j], more < 0);
    }
}

void ExactSums::widen() {
    if (wide()) return;
    wide_.assign(narrow_.begin(), narrow_.end());
    narrow_ = {};
}

void ExactSums::add(const ExactSums& other, bool subtract) {
    if (num_clusters_ != other.num_clusters_ || dimensions_ != other.dimensions_)
        throw std::invalid_argument(
            "sums of the shape [" + std::to_string(num_clusters_) + ", " +
            std::to_string(dimensions_) + "] and [" + std::to_string(other.num_clusters_) + ", " +
            std::to_string(other.dimensions_) + "] do not add up: both must have the same");
    odd_.add(other.odd_, subtract);
    bool fits = !wide() && !other.wide() && units_ == other.units_;
    for (std::size_t i = 0; fits && i < size(); ++i) {
        std::int64_t sum;
        fits = !(subtract ? __builtin_sub_overflow(narrow_[i], other.narrow_[i], &sum)
                          : __builtin_add_overflow(narrow_[i], other.narrow_[i], &sum));
    }
    if (!fits) return add_aligned(other, subtract);
    for (std::size_t i = 0; i < size(); ++i)
        narrow_[i] += subtract ? -other.narrow_[i] : other.narrow_[i];
}

// In 128 bits, each column in the smaller of the two units.
void ExactSums::add_aligned(const ExactSums& other, bool subtract) {
    widen();
    for (std::size_t i = 0; i < size(); ++i) {
        const std::size_t j = i % dimensions_;
        const int unit = std::min(units_[j], other.units_[j]);
        const Int128 own = wide_[i], more = other.dense(i);
        Int128 left, right, sum;
        if (!shifted(own, units_[j] - unit, &left)) {
            odd_.add(i, magnitude_of(own), units_[j], own < 0);
            left = 0;
        }
        if (!shifted(more, other.units_[j] - unit, &right)) {
            odd_.add(i, magnitude_of(more), other.units_[j], (more < 0) != subtract);
            right = 0;
        }
        if (subtract ? __builtin_sub_overflow(left, right, &sum)
                     : __builtin_add_overflow(left, right, &sum)) {
            odd_.add(i, magnitude_of(right), unit, (right < 0) != subtract);
            sum = left;
        }
        wide_[i] = sum;
    }
    for (std::size_t j = 0; j < dimensions_; ++j) units_[j] = std::min(units_[j], other.units_[j]);
}

void ExactSums::round(double* sums) const {
    std::vector<double> powers(dimensions_);
    for (std::size_t j = 0; j < dimensions_; ++j) powers[j] = std::ldexp(1.0, units_[j]);
    // The integer is rounded once, to 53 bits; its product with the unit is exact: where it is
    // subnormal it has fewer bits.
    for (std::size_t c = 0, i = 0; c < num_clusters_; ++c) {
        if (wide())
            for (std::size_t j = 0; j < dimensions_; ++j, ++i)
                sums[i] = static_cast<double>(wide_[i]) * powers[j];
        else
            for (std::size_t j = 0; j < dimensions_; ++j, ++i)
                sums[i] = static_cast<double>(narrow_[i]) * powers[j];
    }
    const std::vector<OddDigits::Digit> odd = odd_.sorted();
    for (std::size_t at = 0; at < odd.size();) {
        const std::size_t index = odd[at].key >> 7;
        ExactTotal total;
        for (; at < odd.size() && odd[at].key >> 7 == index; ++at)
            total.add_digit(odd[at].key & 127, odd[at].value);
        total.add(dense(index), units_[index % dimensions_]);
        sums[index] = total.rounded();
    }
}

std::string ExactSums::to_bytes() const {
    Writer out;
    const std::size_t upper = wide() ? bytes_of_upper(wide_) : 0;
    const std::vector<OddDigits::Digit> odd = odd_.sorted();
    out.put(magic);
    out.put(static_cast<std::uint32_t>(upper));
    out.put<std::uint64_t>(num_clusters_);
    out.put<std::uint64_t>(dimensions_);
    out.put<std::uint64_t>(odd.size());
    out.put_all(units_.data(), units_.size());
    out.put_all(narrow_.data(), narrow_.size());
    for (const Int128 sum : wide_) out.put(static_cast<std::uint64_t>(sum));
    for (const Int128 sum : wide_) {
        const auto half = static_cast<std::int64_t>(sum >> 64);
        out.put_all(reinterpret_cast<const char*>(&half), upper);
    }
    for (const OddDigits::Digit digit : odd) {
        out.put(digit.key);
        out.put(static_cast<std::int32_t>(digit.value));
    }
    return out.bytes;
}

ExactSums ExactSums::from_bytes(std::string_view bytes) {
    Reader in(bytes);
    if (in.get<std::uint32_t>() != magic) Reader::damaged();
    const auto upper = in.get<std::uint32_t>();
    const auto num_clusters = in.get<std::uint64_t>(), dimensions = in.get<std::uint64_t>();
    const auto num_odd = in.get<std::uint64_t>();
    std::uint64_t size;
    if (__builtin_mul_overflow(num_clusters, dimensions, &size) || upper > 8 ||
        size > in.left() / 8 || dimensions > in.left() / 4 || num_odd > in.left() / 12)
        Reader::damaged();
    std::vector<std::int32_t> units(dimensions);
    in.get_all(units.data(), dimensions);
    for (const std::int32_t unit : units)
        if (unit < -1088 || unit > 1023) Reader::damaged();
    ExactSums sums(num_clusters, dimensions, std::move(units));
    in.get_all(sums.narrow_.data(), size);
    if (upper > 0) {
        sums.wide_.resize(size);
        for (std::size_t i = 0; i < size; ++i) {
            unsigned char half[8];
            in.get_all(half, upper);
            std::fill(half + upper, half + 8, half[upper - 1] & 0x80 ? 0xff : 0);
            sums.wide_[i] = static_cast<Int128>(std::bit_cast<std::int64_t>(half)) << 64 |
                            static_cast<std::uint64_t>(sums.narrow_[i]);
        }
        sums.narrow_ = {};
    }
    for (std::uint64_t i = 0; i < num_odd; ++i) {
        const auto key = in.get<std::uint64_t>();
        if (key >> 7 >= size || (key & 127) >= ExactTotal::size) Reader::damaged();
        sums.odd_.add({key, in.get<std::int32_t>()});
    }
    if (!in.at_end()) Reader::damaged();
    return sums;
}

} // namespace centroids
