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

std::string join(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

const InstructionSet& find_level(const std::string& name) {
    for (const InstructionSet* level : levels) {
        if (!name.empty() && name != level->name) continue;
        if (level->supported()) return *level;
        if (!name.empty())
            throw std::invalid_argument(
                "instruction set '" + name +
                "' is not supported by this processor; supported: " + join(supported_levels()));
    }
    throw std::invalid_argument("unknown instruction set '" + name +
                                "'; supported: " + join(supported_levels()));
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
    for (const InstructionSet* level : levels) names.emplace_back(level->name);
    return names;
}

std::vector<std::string> supported_levels() {
    std::vector<std::string> names;
    for (const InstructionSet* level : levels)
        if (level->supported()) names.emplace_back(level->name);
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
