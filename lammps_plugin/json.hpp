// As much of JSON (RFC 8259) as the header of a model file needs.
#pragma once

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace acepair {

class Json {
public:
    enum Kind { null, boolean, number, string, array, object };

    static Json parse(std::string_view text) {
        Parser parser{text, 0};
        Json value = parser.value(0);
        parser.skip_space();
        if (parser.at != text.size()) parser.fail("something after its end");
        return value;
    }

    Kind kind() const { return kind_; }
    bool has(const std::string &key) const { return kind_ == object && members.count(key); }
    const std::map<std::string, Json> &items() const { return expect(object, "an object"), members; }
    const std::vector<Json> &elements() const { return expect(array, "a list"), values; }
    const std::string &text() const { return expect(string, "a string"), text_; }
    double real() const { return expect(number, "a number"), number_; }

    const Json &operator[](const std::string &key) const {
        const auto found = items().find(key);
        if (found == members.end()) throw std::runtime_error("no \"" + key + "\" in the header");
        return found->second;
    }

    /// A whole number in [low, high].
    int64_t integer(int64_t low, int64_t high) const {
        const double x = real();
        if (!(x >= double(low) && x <= double(high)) || x != double(int64_t(x)))
            throw std::runtime_error("the header has a number out of its range");
        return int64_t(x);
    }

private:
    Kind kind_ = null;
    double number_ = 0;
    std::string text_;
    std::vector<Json> values;
    std::map<std::string, Json> members;

    void expect(Kind kind, const char *what) const {
        if (kind_ != kind) throw std::runtime_error(std::string("the header has something else in place of ") + what);
    }

    struct Parser {
        std::string_view s;
        size_t at;

        [[noreturn]] void fail(const std::string &what) const {
            throw std::runtime_error("the header is not valid JSON: " + what + " at byte " + std::to_string(at));
        }
        void skip_space() {
            while (at < s.size() && (s[at] == ' ' || s[at] == '\n' || s[at] == '\r' || s[at] == '\t')) ++at;
        }
        bool take(char c) {
            skip_space();
            if (at >= s.size() || s[at] != c) return false;
            return ++at, true;
        }
        void need(char c) {
            if (!take(c)) fail(std::string("no '") + c + "'");
        }
        bool take_word(std::string_view word) {
            if (s.substr(at, word.size()) != word) return false;
            return at += word.size(), true;
        }

        Json value(int depth) {
            if (depth > 64) fail("too many levels");
            skip_space();
            if (at >= s.size()) fail("its end");
            Json v;
            if (s[at] == '{') {
                v.kind_ = object, ++at;
                if (take('}')) return v;
                do {
                    skip_space();
                    std::string key = read_string();
                    need(':');
                    if (!v.members.emplace(std::move(key), value(depth + 1)).second) fail("a name that occurs twice");
                } while (take(','));
                need('}');
            } else if (s[at] == '[') {
                v.kind_ = array, ++at;
                if (take(']')) return v;
                do v.values.push_back(value(depth + 1));
                while (take(','));
                need(']');
            } else if (s[at] == '"') {
                v.kind_ = string, v.text_ = read_string();
            } else if (take_word("true")) {
                v.kind_ = boolean, v.number_ = 1;
            } else if (take_word("false")) {
                v.kind_ = boolean;
            } else if (!take_word("null")) {
                const size_t end = s.find_first_not_of("+-0123456789.eE", at);
                const std::string digits(s.substr(at, end == s.npos ? s.npos : end - at));
                char *stop = nullptr;
                v.kind_ = number, v.number_ = std::strtod(digits.c_str(), &stop);
                if (digits.empty() || *stop) fail("an unknown word");
                at += digits.size();
            }
            return v;
        }

        std::string read_string() {
            if (at >= s.size() || s[at] != '"') fail("no string");
            std::string out;
            for (++at; at < s.size() && s[at] != '"'; ++at) {
                if (s[at] != '\\') {
                    out += s[at];
                    continue;
                }
                if (++at >= s.size()) break;
                switch (s[at]) {
                case 'n': out += '\n'; break;
                case 't': out += '\t'; break;
                case 'r': out += '\r'; break;
                case 'b': out += '\b'; break;
                case 'f': out += '\f'; break;
                case 'u': append_utf8(out, code_point()); break;
                default: out += s[at];
                }
            }
            if (at >= s.size()) fail("a string without end");
            return ++at, out;
        }

        unsigned four_digits() {
            unsigned code = 0;
            for (int k = 0; k < 4; ++k) {
                const char c = ++at < s.size() ? s[at] : '?';
                const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
                if (digit < 0) fail("a bad \\u");
                code = 16 * code + unsigned(digit);
            }
            return code;
        }
        unsigned code_point() {
            const unsigned high = four_digits();
            if (high < 0xd800 || high > 0xdbff || s.substr(at + 1, 2) != "\\u") return high;
            at += 2;
            return 0x10000 + ((high - 0xd800) << 10) + (four_digits() - 0xdc00);
        }
        static void append_utf8(std::string &out, unsigned c) {
            if (c < 0x80) {
                out += char(c);
            } else if (c < 0x800) {
                out += char(0xc0 | c >> 6), out += char(0x80 | (c & 63));
            } else if (c < 0x10000) {
                out += char(0xe0 | c >> 12), out += char(0x80 | (c >> 6 & 63)), out += char(0x80 | (c & 63));
            } else {
                out += char(0xf0 | c >> 18), out += char(0x80 | (c >> 12 & 63)), out += char(0x80 | (c >> 6 & 63)), out += char(0x80 | (c & 63));
            }
        }
    };
};

}  // namespace acepair
