#include "runtime/dispatch.h"

#include "isa/levels.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace centroids {
namespace {

// Best first. The macros come from cmake/isa.cmake, one for each source that it compiles.
constexpr const InstructionSet* levels[] = {
#ifdef CENTROIDS_HAVE_AVX512VNNI
    &avx512vnni_half_level,
    &avx512vnni_level,
#endif
#ifdef CENTROIDS_HAVE_AVX512
    &avx512_level,
#endif
#ifdef CENTROIDS_HAVE_AVXVNNI
    &avxvnni_level,
#endif
#ifdef CENTROIDS_HAVE_AVX2
    &avx2_level,
#endif
#ifdef CENTROIDS_HAVE_NEONDOT
    &neondot_level,
#endif
#ifdef CENTROIDS_HAVE_NEON
    &neon_level,
#endif
    &scalar_level,
};

std::atomic<const InstructionSet*> current{nullptr};

// Of levels of one name, which differ in when a kernel pays, the name once.
void add_name(std::vector<std::string>& names, const InstructionSet* level) {
    if (names.empty() || names.back() != level->name) names.emplace_back(level->name);
}

std::string join(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

const InstructionSet& find_level(const std::string& name) {
    bool known = false;
    for (const InstructionSet* level : levels) {
        if (!name.empty() && name != level->name) continue;
        known = true;
        if (level->supported()) return *level;
    }
    throw std::invalid_argument(
        (known ? "instruction set '" + name + "' is not supported by this processor"
               : "unknown instruction set '" + name + "'") +
        "; supported: " + join(supported_levels()));
}

const InstructionSet& chosen_in_environment() {
    const char* forced = std::getenv("CENTROIDS_ISA");
    try {
        return find_level(forced ? forced : "");
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(std::string("the environment variable CENTROIDS_ISA: ") +
                                    error.what());
    }
}

} // namespace

std::vector<std::string> compiled_levels() {
    std::vector<std::string> names;
    for (const InstructionSet* level : levels) add_name(names, level);
    return names;
}

std::vector<std::string> supported_levels() {
    std::vector<std::string> names;
    for (const InstructionSet* level : levels)
        if (level->supported()) add_name(names, level);
    return names;
}

const InstructionSet& current_level() {
    const InstructionSet* level = current.load();
    if (!level) {
        level = &chosen_in_environment();
        current.store(level);
    }
    return *level;
}

void set_level(const std::string& name) { current.store(&find_level(name)); }

} // namespace centroids
