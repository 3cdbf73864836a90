package facts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Email addresses are normalised to one spelling. Two addresses have the same spelling exactly if
// standards say that they reach the same mailbox. A person who proves one address must never pass
// as the owner of another.

// maxEmail is the maximum length in bytes (RFC 5321, 4.5.3.1.3, erratum 1690).
const maxEmail = 254

// maxSaid limits the input that is searched for an address (a display name and the address), so
// that it stays fast.
const maxSaid = 4096

// Email returns the normalised spelling of an address, or "" if it cannot be one. It removes
// "mailto:", "Name <address>" and invisible characters, composes the rest (NFC, except where that
// makes an ASCII letter), folds A–Z, and writes the domain in Unicode (UTS 46). Other letters
// before the @ keep their case: İ is not i, and only the mailbox's provider can compare them.
// Email(Email(s)) is Email(s).
func Email(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxSaid {
		return ""
	}
	if plainAddress(s) {
		return checkedAddress(lowerASCII(s))
	}
	// One pass is nearly always enough. A decoded domain may need another; an address that never
	// settles has no spelling.
	for range 4 {
		next := spell(s)
		if next == s || next == "" {
			return next
		}
		s = next
	}
	return ""
}

// plainAddress reports whether s needs only the folding of A–Z.
func plainAddress(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '<' {
			return false
		}
	}
	return !hasPrefixFold(s, "mailto:") && !strings.HasSuffix(s, ".") && !strings.Contains(lowerASCII(s), "xn--")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && lowerASCII(s[:len(prefix)]) == prefix
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// spell is one pass of Email over an address that is not plain.
func spell(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	s = peel(strings.Map(visible, s))
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return ""
	}
	local := normal(norm.NFC, strings.Map(notJoiner, s[:at]))
	return checkedAddress(lowerASCII(local) + "@" + spellDomain(s[at+1:]))
}

// normal returns s in a normal form, except the few letters that the form maps to ASCII (Kelvin
// sign to K): for a mailbox's provider they differ.
func normal(form norm.Form, s string) string {
	var b strings.Builder
	for {
		at := strings.IndexFunc(s, seemsASCII)
		if at < 0 {
			return b.String() + form.String(s)
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		b.WriteString(form.String(s[:at]) + s[at:at+size])
		s = s[at+size:]
	}
}

// seemsASCII reports the non-ASCII letters whose normal form is ASCII.
func seemsASCII(r rune) bool {
	return r == '\u212a' || r == '\u1fef' || r == '\u037e' // Kelvin sign, Greek varia and question mark
}

// peel removes what programs and people put around an address.
func peel(s string) string {
	for {
		s = strings.TrimSpace(s)
		inner := s
		if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
			inner = s[open+1 : len(s)-1]
		} else if hasPrefixFold(s, "mailto:") {
			inner, _, _ = strings.Cut(s[len("mailto:"):], "?") // the subject and so on follow
		}
		if inner == s {
			return s
		}
		s = inner
	}
}

// checkedAddress returns s if it can be an address, else "".
func checkedAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	switch {
	case at < 1 || at == len(s)-1 || len(s) > maxEmail || strings.ContainsFunc(s, unfit):
		return ""
	case strings.Contains(s[:at], "@") && !(at > 1 && s[0] == '"' && s[at-1] == '"'):
		return "" // only a quoted local part may contain another
	}
	return s
}

// unfit reports characters that cannot be in an address but separate it from other text.
func unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '<' || r == '>' || r == ',' || r == ';'
}

// domains maps as in UTS 46, but allows hyphens and underscores, which are in use. A joiner stays
// only where it changes how a script is written, as it then distinguishes registered domains.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false))

// spellDomain returns the domain in Unicode and lower case. An invalid domain is only composed,
// with A–Z folded.
func spellDomain(d string) string {
	for _, try := range []string{d, strings.Map(notJoiner, d)} {
		if u, err := domains.ToUnicode(try); err == nil && strings.IndexFunc(u, unfit) < 0 {
			return strings.TrimRight(u, ".")
		}
	}
	return strings.TrimRight(lowerASCII(norm.NFC.String(strings.Map(notJoiner, d))), ".")
}

// The zero-width non-joiner and joiner. Some scripts and emoji need them; elsewhere they are
// invisible.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// visible drops invisible characters except joiners, for strings.Map.
func visible(r rune) rune {
	if r != zwnj && r != zwj && invisible(r) {
		return -1
	}
	return r
}

func notJoiner(r rune) rune {
	if r == zwnj || r == zwj {
		return -1
	}
	return r
}

// invisible reports format characters (Cf: byte order mark, soft hyphen, direction marks) and
// others that are shown as nothing (Default_Ignorable).
func invisible(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Spellings returns other spellings of a normalised address that may occur in payloads and in rows
// of older versions: composed or decomposed, the domain in Unicode or ASCII, and all lower case
// (strings.ToLower), as the first versions wrote it. The last may be another address by the rules
// of Email (ü for Ü), but never ASCII letters for others (i for İ).
func Spellings(email string) []string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || plainAddress(email) {
		return nil
	}
	local, domain := email[:at], email[at+1:]
	inASCII, err := domains.ToASCII(domain)
	if err != nil {
		inASCII = domain
	}
	var out []string
	for _, l := range []string{local, normal(norm.NFD, local), lowerBeyondASCII(local),
		normal(norm.NFD, lowerBeyondASCII(local))} {
		for _, d := range []string{domain, norm.NFD.String(domain), inASCII} {
			if s := l + "@" + d; s != email && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// lowerBeyondASCII is strings.ToLower, except for letters that it maps to ASCII.
func lowerBeyondASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); l >= utf8.RuneSelf {
			return l
		}
		return r
	}, s)
}

// maxName is the maximum length of a person's or product's name, in runes.
const maxName = 1000

// name joins parts with single spaces. It removes invisible characters at both ends, so a name of
// only those is empty. Inside they stay, as emoji and some scripts need them.
func name(parts ...string) string {
	s := trimInvisible(strings.Join(strings.Fields(strings.Join(parts, " ")), " "))
	if r := []rune(s); len(r) > maxName {
		return string(r[:maxName])
	}
	return s
}

// braillePattern is a symbol by its class, but shown as nothing.
const braillePattern = '\u2800'

func blank(r rune) bool { return unicode.IsSpace(r) || invisible(r) || r == braillePattern }

func trimInvisible(s string) string {
	s = strings.TrimLeftFunc(s, blank)
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		if !blank(r) || endsSign(s[:len(s)-size], r) {
			break
		}
		s = s[:len(s)-size]
	}
	return s
}

// endsSign reports whether r, itself invisible, belongs to the sign before it. Joiners belong to
// half letters (Malayalam names end so), variation selectors and flag tags to emoji.
func endsSign(before string, r rune) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	switch {
	case r == zwj || r == zwnj:
		const virama = 9 // the combining class
		return norm.NFC.PropertiesString(string(last)).CCC() == virama
	case unicode.Is(unicode.Variation_Selector, r):
		return !blank(last)
	case r > 0xe0000 && r <= 0xe007f: // tags
		return unicode.Is(unicode.So, last) || last > 0xe0000 && last <= 0xe007f
	}
	return false
}
