#include "model_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>

#include "json.hpp"
#include "sha256.hpp"

namespace acepair {
namespace {

constexpr int format_version = 1;
constexpr std::string_view magic = "{\"__metadata__\":{\"format\":\"acepair\",\"format_version\":\"";
constexpr std::string_view after_version = "\",\"sha256\":\"";
constexpr int max_lmax = 100, max_exponent = 1000, table_columns = 8;
constexpr double max_cutoff = 1e4;  // Å
constexpr int32_t max_int32 = std::numeric_limits<int32_t>::max();

constexpr std::string_view symbols[] = {
    "X",  "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",  "Cl", "Ar", "K",
    "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
    "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au",
    "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es",
    "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};
constexpr int n_symbols = int(sizeof symbols / sizeof *symbols);

[[noreturn]] void fail(const std::string &what) { throw std::runtime_error(what); }

/// The file's parts; `data` views `content`.
struct Container {
    std::string content, sha256;
    std::string_view data;
    Json header;
};

std::string read_bytes(const std::string &path) {
    struct stat status{};
    if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) fail("it is not a file");
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream bytes;
    if (!stream || !(bytes << stream.rdbuf())) fail(stream ? "not an acepair model file: it is empty" : "it cannot be opened");
    return bytes.str();
}

/// Where the checksum stands, after the version; refuses other formats and versions.
size_t digest_at(const std::string &content) {
    const std::string_view start = std::string_view(content).substr(std::min<size_t>(8, content.size()), magic.size());
    if (start != magic.substr(0, start.size())) fail("not an acepair model file, or damaged");
    const size_t version_at = 8 + magic.size(), version_end = content.find('"', version_at);
    if (version_end == content.npos) fail("truncated");
    const std::string version = content.substr(version_at, version_end - version_at);
    const bool digits = !version.empty() && version.size() < 9 && version.find_first_not_of("0123456789") == version.npos;
    if (digits && std::stoi(version) > format_version)
        fail("written by a newer acepair: format " + version + ", this is format " + std::to_string(format_version) + "; upgrade acepair");
    if (version != std::to_string(format_version)) fail("damaged: there is no such format version");
    if (content.compare(version_end, after_version.size(), after_version) != 0) fail("damaged: the checksum is not in its place");
    const size_t at = version_end + after_version.size();
    if (content.size() < at + 64) fail("truncated");
    return at;
}

int64_t end_of_data(const Json &header) {
    int64_t end = 0;
    for (const auto &[name, entry] : header.items())
        if (name != "__metadata__") {
            const std::vector<Json> &offsets = entry["data_offsets"].elements();
            if (offsets.size() != 2) fail("damaged: tensor " + name + " has no place");
            end = std::max(end, offsets[1].integer(0, int64_t(1) << 52));
        }
    return end;
}

Container open_container(const std::string &path) {
    Container file;
    file.content = read_bytes(path);
    const std::string &content = file.content;
    const size_t digest = digest_at(content);
    uint64_t n_header = 0;
    for (int k = 7; k >= 0; --k) n_header = n_header << 8 | (unsigned char)content[k];
    if (n_header > content.size() - 8) fail("truncated or damaged: the header should be longer than the whole file");
    file.header = Json::parse(std::string_view(content).substr(8, n_header));
    const uint64_t announced = 8 + n_header + uint64_t(end_of_data(file.header));
    if (content.size() < announced) fail("truncated: " + std::to_string(content.size()) + " of " + std::to_string(announced) + " bytes are there");
    file.sha256 = content.substr(digest, 64);
    Sha256 hash;
    hash.update(std::string_view(content).substr(0, digest));
    hash.update(std::string(64, '0'));
    hash.update(std::string_view(content).substr(digest + 64));
    if (content.size() != announced || hash.finish() != file.sha256) fail("damaged: its content does not match its checksum");
    file.data = std::string_view(content).substr(8 + n_header);
    return file;
}

/// How many entries a shape has, `most` + 1 if they are more than `most`.
int64_t count_entries(const std::vector<Json> &shape, int64_t most) {
    int64_t n = 1;
    bool empty = false;  // with a zero in its shape it has none, whatever its other lengths
    for (const Json &entry : shape) {
        const int64_t length = entry.integer(0, int64_t(1) << 52);
        empty |= !length;
        n = length && n > most / length ? most + 1 : n * std::max<int64_t>(length, 1);
    }
    return empty ? 0 : n;
}

/// An array in memory of its own.
template <class T> struct Array {
    const T *data = nullptr;
    std::vector<int64_t> shape;
    int64_t count = 0;

    int64_t size() const { return count; }
    const T *begin() const { return data; }
    const T *end() const { return data + size(); }
};

constexpr int64_t any = -1;

/// Tensors whose names begin with a prefix, checked as they are taken, and copied to memory that outlives the file.
class Reader {
public:
    Reader(const Container &file, std::deque<Buffer> &memory, std::string prefix) : file(file), memory(memory), prefix(std::move(prefix)) {}

    Reader under(const std::string &more) const { return Reader(file, memory, prefix + more); }

    Array<double> reals(const std::string &name, const std::vector<int64_t> &shape) const {
        const Array<double> array = take<double>(name, "F64", shape);
        for (const double x : array)
            if (!std::isfinite(x)) fail("tensor " + prefix + name + " must hold finite numbers");
        return array;
    }
    Array<int32_t> integers(const std::string &name, const std::vector<int64_t> &shape) const { return take<int32_t>(name, "I32", shape); }

    /// Integers from 0 to below stop(k).
    template <class Stop> Array<int32_t> indices(const std::string &name, const std::vector<int64_t> &shape, Stop stop) const {
        const Array<int32_t> array = integers(name, shape);
        for (int64_t k = 0; k < array.size(); ++k)
            if (array.data[k] < 0 || array.data[k] >= stop(k)) fail("tensor " + prefix + name + " must hold indices of what is there");
        return array;
    }
    /// Ascending (length + 1,) integers from 0 to end.
    Array<int32_t> starts(const std::string &name, int64_t length, int64_t end) const {
        const Array<int32_t> array = integers(name, {length + 1});
        bool ascending = array.data[0] == 0 && array.data[length] == end;
        for (int64_t k = 0; k < length; ++k) ascending &= array.data[k] <= array.data[k + 1];
        if (!ascending) fail("tensor " + prefix + name + " must ascend from 0 to " + std::to_string(end));
        return array;
    }
    /// The tensor `rcut`, Å.
    const double *cutoffs(int64_t n_pairs) const {
        const Array<double> array = reals("rcut", {n_pairs});
        for (const double cutoff : array)
            if (cutoff < 0 || cutoff > max_cutoff) refuse("rcut", "must lie in 0 ... 10000 A");
        return array.data;
    }
    int32_t scalar(const std::string &name, int32_t low, int32_t high) const {
        const int32_t value = *integers(name, {}).data;
        if (value < low || value > high) fail("tensor " + prefix + name + " is out of its range, " + std::to_string(value));
        return value;
    }
    [[noreturn]] void refuse(const std::string &name, const std::string &why) const { fail("tensor " + prefix + name + " " + why); }

private:
    const Container &file;
    std::deque<Buffer> &memory;
    std::string prefix;

    template <class T> Array<T> take(const std::string &short_name, const char *type, const std::vector<int64_t> &expected) const {
        const std::string name = prefix + short_name;
        if (!file.header.has(name)) fail("tensor " + name + " is missing");
        const Json &entry = file.header[name];
        if (entry["dtype"].text() != type) fail("tensor " + name + " must be " + type + ", it is " + entry["dtype"].text());
        Array<T> array;
        const int64_t limit = int64_t(file.data.size());
        array.count = count_entries(entry["shape"].elements(), limit);
        for (const Json &n : entry["shape"].elements()) array.shape.push_back(n.integer(0, limit));
        bool fits = array.shape.size() == expected.size();
        for (size_t k = 0; fits && k < expected.size(); ++k) fits = expected[k] == any || expected[k] == array.shape[k];
        if (!fits) fail("tensor " + name + " has the wrong shape");
        const std::vector<Json> &offsets = entry["data_offsets"].elements();
        const int64_t begin = offsets[0].integer(0, limit), end = offsets[1].integer(0, limit);
        const int64_t bytes = array.count * int64_t(sizeof(T));  // no overflow: the count is at most the size of the file
        if (end - begin != bytes) fail("tensor " + name + " does not fill its place");
        char *const copy = memory.emplace_back().reserve(std::max<int64_t>(bytes, 1));
        std::memcpy(copy, file.data.data() + begin, size_t(bytes));
        array.data = reinterpret_cast<const T *>(copy);
        return array;
    }
};

bool is_integer(double x, int low) { return x == std::floor(x) && x >= low && x <= max_exponent; }

void check_transform(const Reader &file, const TransformParameters &t) {
    const bool agnesi = t.kind == double(TransformKind::agnesi) && is_integer(t.p, 1) && is_integer(t.q, 1) && t.p <= t.q;
    if (!agnesi && t.kind != double(TransformKind::affine)) file.refuse("transform", "names a transform that is not known");
}

void check_envelope(const Reader &file, const EnvelopeParameters &e) {
    const bool known = is_integer(e.kind, 0) && e.kind < double(EnvelopeKind::count);
    if (!known || !is_integer(e.p1, 0) || !is_integer(e.p2, 0)) file.refuse("envelope", "names an envelope that is not known");
}

void read_table(const Reader &file, int64_t n_pairs, RadialPlan &radial) {
    const int64_t columns = (int64_t(radial.n_functions) + table_columns - 1) / table_columns * table_columns;
    const Array<double> table = file.reals("table", {n_pairs, any, any, columns});
    if (!table.size()) file.refuse("table", "must have intervals and powers");
    radial.n_intervals = int32_t(table.shape[1]), radial.degree = int32_t(table.shape[2] - 1), radial.n_columns = int32_t(columns);
    radial.table = table.data;
}

RadialPlan read_radial(const Reader &file, int64_t n_pairs) {
    static_assert(sizeof(TransformParameters) == 8 * sizeof(double) && sizeof(EnvelopeParameters) == 6 * sizeof(double));
    RadialPlan radial{};
    const int64_t n = radial.n_functions = file.scalar("n_functions", 1, max_int32);
    radial.kind = BasisKind(file.scalar("kind", 0, int(BasisKind::count) - 1));
    radial.transform = reinterpret_cast<const TransformParameters *>(file.reals("transform", {n_pairs, 8}).data);
    radial.envelope = reinterpret_cast<const EnvelopeParameters *>(file.reals("envelope", {n_pairs, 6}).data);
    for (int64_t pair = 0; pair < n_pairs; ++pair) check_transform(file, radial.transform[pair]), check_envelope(file, radial.envelope[pair]);
    radial.rcut = file.cutoffs(n_pairs);

    if (radial.kind == BasisKind::table) {
        read_table(file, n_pairs, radial);
        return radial;
    }
    const Array<double> recurrence = file.reals("recurrence", {3, any});
    const int64_t n_q = recurrence.shape[1];
    if (n_q < (radial.kind == BasisKind::recurrence ? n : 1)) file.refuse("recurrence", "has too few polynomials");
    radial.n_polynomials = int32_t(n_q);
    radial.A = recurrence.data, radial.B = recurrence.data + n_q, radial.C = recurrence.data + 2 * n_q;
    if (radial.kind == BasisKind::series) radial.weights = file.reals("weights", {n_pairs, n, n_q}).data;
    return radial;
}

RadialPlan read_pair_term(const Reader &file, int64_t n_pairs) {
    const RadialPlan term = read_radial(file, n_pairs);
    if (term.n_functions != 1) file.refuse("n_functions", "must be 1 in a pair term");
    if (term.kind == BasisKind::recurrence) file.refuse("kind", "must be a series or a table in a pair term");
    return term;
}

Dag read_dag(const Reader &file, int32_t n_A, const double *coefficients, int64_t &size) {
    Dag dag{};
    const auto length = [&](const char *name) { return file.integers(name, {any}).size(); };
    const int64_t n_internal = length("parent"), n_groups = length("group_parent"), n_leaves = length("leaf_factor"), n_nodes = n_A + n_internal;
    const auto before = [&](int64_t k) { return n_A + k; };
    const auto node = [&](int64_t) { return n_nodes; };
    dag.n_internal = int32_t(n_internal), dag.n_groups = int32_t(n_groups), dag.n_leaves = int32_t(n_leaves);
    dag.parent = file.indices("parent", {n_internal}, before).data;
    dag.factor = file.indices("factor", {n_internal}, before).data;
    dag.group_parent = file.indices("group_parent", {n_groups}, node).data;
    dag.group_first = file.starts("group_first", n_groups, n_leaves).data;
    dag.leaf_factor = file.indices("leaf_factor", {n_leaves}, node).data;
    dag.coefficients = coefficients;
    size = n_nodes + n_leaves;
    return dag;
}

void read_many_body(const Reader &file, int64_t n_species, Plan &plan) {
    const int64_t n_pairs = n_species * n_species, n_degrees = plan.lmax + 1;
    plan.spherical = file.scalar("spherical", 0, 1);
    plan.radial = read_radial(file.under("radial/"), n_pairs);
    plan.n_A = file.scalar("n_A", 0, max_int32);
    const Array<int32_t> runs = file.integers("runs", {any, 2});
    plan.run_first = file.starts("run_first", n_pairs * n_degrees, runs.shape[0]).data;
    plan.runs = reinterpret_cast<const Run *>(runs.data);
    std::map<int64_t, int64_t> last_of_run;  // by first A
    for (int64_t k = 0; k < n_pairs * n_degrees; ++k)
        for (int64_t r = plan.run_first[k]; r < plan.run_first[k + 1]; ++r) {
            const Run &run = plan.runs[r];
            const int64_t last = int64_t(run.first) + 2 * (k % n_degrees);
            if (run.function < 0 || run.function >= plan.radial.n_functions || run.first < 0 || last >= plan.n_A)
                file.refuse("runs", "must hold indices of what is there");
            if (last_of_run.emplace(run.first, last).first->second != last) file.refuse("runs", "must not overlap in part");
        }
    int64_t last_before = -1;
    for (const auto &[first, last] : last_of_run) {
        if (first <= last_before) file.refuse("runs", "must not overlap in part");
        last_before = last;
    }
    const Array<double> coefficients = file.reals("coefficients", {n_species, any});
    int64_t size = 0;
    plan.dag = read_dag(file.under("dag/"), plan.n_A, coefficients.data, size);
    if (coefficients.shape[1] != size) file.refuse("coefficients", "has the wrong length");
}

void read_plan(const Reader &file, int32_t n_tensors, const std::vector<std::string> &elements, LoadedPlan &loaded) {
    Plan &plan = loaded.plan;
    const Array<int32_t> numbers = file.indices("numbers", {any}, [](int64_t) { return n_symbols; });
    const int64_t n_species = numbers.size(), n_pairs = n_species * n_species;
    if (!n_species || n_species > n_symbols) file.refuse("numbers", "must name the elements");
    const Array<int32_t> species = file.indices("species", {int64_t(elements.size())}, [&](int64_t) { return n_species; });
    for (size_t z = 0; z < elements.size(); ++z)
        if (symbols[numbers.data[species.data[z]]] != elements[z]) file.refuse("species", "must lead to the model's elements");
    loaded.species.assign(species.begin(), species.end());
    plan.n_species = int32_t(n_species);
    plan.E0 = file.reals("E0", {n_species}).data;
    plan.rcut = file.cutoffs(n_pairs);
    plan.n_pair_terms = file.scalar("n_pair_terms", 0, n_tensors);
    for (int t = 0; t < plan.n_pair_terms; ++t) loaded.pair_terms.push_back(read_pair_term(file.under("pair/" + std::to_string(t) + "/"), n_pairs));
    plan.pair_terms = loaded.pair_terms.data();
    plan.lmax = file.scalar("lmax", -1, max_lmax);
    loaded.harmonics = make_harmonics_constants(std::max(plan.lmax, 0));
    plan.harmonics = loaded.harmonics.data();
    if (plan.lmax >= 0) read_many_body(file, n_species, plan);
    loaded.arranged = std::make_unique<ArrangedPlan>(plan, true);
}

/// Linear parameters: the readouts' weights in the declaration.
int64_t count_parameters(const Json &header) {
    int64_t n = 0;
    for (const auto &[name, entry] : header.items()) {
        const auto ends_with = [&](std::string_view end) { return name.size() >= end.size() && name.compare(name.size() - end.size(), end.npos, end) == 0; };
        if (name.rfind("model/", 0) != 0 || !ends_with("/weights") || ends_with("rembed/weights")) continue;
        n += std::min<int64_t>(count_entries(entry["shape"].elements(), max_int32), max_int32);  // only the log shows it
    }
    return n;
}

}  // namespace

double LoadedPlan::rcut_max() const { return *std::max_element(plan.rcut, plan.rcut + plan.n_species * plan.n_species); }

double ModelFile::rcut(int z_i, int z_j) const {
    double cutoff = 0;
    for (const LoadedPlan &loaded : plans) {
        const int a = loaded.species[z_i], b = loaded.species[z_j], n = loaded.plan.n_species;
        cutoff = std::max({cutoff, loaded.plan.rcut[a * n + b], loaded.plan.rcut[b * n + a]});
    }
    return cutoff;
}

double ModelFile::rcut_max() const {
    double cutoff = 0;
    for (const LoadedPlan &loaded : plans) cutoff = std::max(cutoff, loaded.rcut_max());
    return cutoff;
}

void read_model_file(const std::string &path, ModelFile &model) {
    const Container file = open_container(path);
    const Json &metadata = file.header["__metadata__"], units = Json::parse(metadata["units"].text());
    if (units["energy"].text() != "eV" || units["length"].text() != "Angstrom") fail("its units must be eV and Angstrom, not " + metadata["units"].text());
    model.sha256 = file.sha256;
    model.n_parameters = count_parameters(file.header);
    std::istringstream names(metadata["elements"].text());
    for (std::string name; names >> name;) model.elements.push_back(name);
    if (model.elements.empty()) fail("it names no elements");
    const auto n_tensors = int32_t(file.header.items().size());
    std::deque<Buffer> memory;
    const int32_t count = Reader(file, memory, "plan/").scalar("count", 1, n_tensors);
    for (int k = 0; k < count; ++k) {
        LoadedPlan &loaded = model.plans.emplace_back();
        read_plan(Reader(file, loaded.arrays, "plan/" + std::to_string(k) + "/"), n_tensors, model.elements, loaded);
    }
}

}  // namespace acepair
