package facts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// One spelling of email addresses. Two addresses that reach the same mailbox by
// the rules of the standards have the same spelling here, and no two others do:
// whoever proves one address must never be taken for the owner of another.

// maxEmail is the longest address in bytes (RFC 5321, 4.5.3.1.3, erratum 1690).
const maxEmail = 254

// maxSaid bounds what is looked at to find an address: a display name and the
// address, and no more than can be gone through quickly.
const maxSaid = 4096

// Email returns the one spelling of an address, or "" for what cannot be one.
// It peels "mailto:" and "Name <address>", removes invisible characters,
// composes the rest (NFC, but for what that would make an ASCII letter), folds A–Z,
// and gives the domain in its Unicode form (UTS 46). Beyond A–Z the part before the @ keeps its case: İ is not i, and a
// mailbox is its provider's to compare. Email(Email(s)) is Email(s).
func Email(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxSaid {
		return ""
	}
	if plainAddress(s) {
		return checkedAddress(lowerASCII(s))
	}
	// One pass settles nearly every address. What a domain decodes to may need
	// another; what never settles has no spelling.
	for range 4 {
		next := spell(s)
		if next == s || next == "" {
			return next
		}
		s = next
	}
	return ""
}

// plainAddress tells whether folding A–Z is all that s needs.
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

// spell is one pass of Email over what is not plain.
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

// normal is s in a normal form, but for the few letters that it takes for ASCII ones
// (the Kelvin sign for K): to a mailbox's provider they are others.
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

// seemsASCII tells of the letters beyond ASCII whose normal forms are within it.
func seemsASCII(r rune) bool {
	return r == '\u212a' || r == '\u1fef' || r == '\u037e' // Kelvin sign, Greek varia and question mark
}

// peel takes off what programs and people put around an address.
func peel(s string) string {
	for {
		s = strings.TrimSpace(s)
		inner := s
		if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
			inner = s[open+1 : len(s)-1]
		} else if hasPrefixFold(s, "mailto:") {
			inner, _, _ = strings.Cut(s[len("mailto:"):], "?") // behind it are the subject and so on
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
		return "" // only a quoted part before the @ may hold another
	}
	return s
}

// unfit characters cannot be in an address: they part it from something else.
func unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '<' || r == '>' || r == ',' || r == ';'
}

// domains maps as UTS 46 has it, and lets pass what is in use (hyphens,
// underscores). A joiner stays only where it makes a difference to how a script
// is written: there it tells two registered domains apart.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false))

// spellDomain is the domain in Unicode and lower case. One that cannot be
// registered is only composed, with A–Z folded.
func spellDomain(d string) string {
	for _, try := range []string{d, strings.Map(notJoiner, d)} {
		if u, err := domains.ToUnicode(try); err == nil && strings.IndexFunc(u, unfit) < 0 {
			return strings.TrimRight(u, ".")
		}
	}
	return strings.TrimRight(lowerASCII(norm.NFC.String(strings.Map(notJoiner, d))), ".")
}

// The zero-width non-joiner and joiner. Some scripts and emoji are written with
// them; elsewhere they are invisible.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// visible drops invisible characters for strings.Map, but joiners.
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

// invisible tells of format characters (Cf: byte order mark, soft hyphen, marks
// of direction) and of those that are shown as nothing (Default_Ignorable).
func invisible(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Spellings returns the other spellings under which an address in our spelling
// may stand in payloads and in rows of older versions: composed or decomposed,
// its domain in Unicode or ASCII, and as the first versions had it, which
// lower-cased every letter (strings.ToLower). The last may be somebody else's
// spelling by the rules of Email (ü for Ü), but never one in plain ASCII letters
// for another one (i for İ).
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
	for _, l := range []string{local, normal(norm.NFD, local), lowerBeyondASCII(local), normal(norm.NFD, lowerBeyondASCII(local))} {
		for _, d := range []string{domain, norm.NFD.String(domain), inASCII} {
			if s := l + "@" + d; s != email && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// lowerBeyondASCII is strings.ToLower, but for letters that it takes for ASCII ones.
func lowerBeyondASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); l >= utf8.RuneSelf {
			return l
		}
		return r
	}, s)
}

// maxName bounds what a person or a product is called, in runes.
const maxName = 1000

// name joins parts with single spaces. Invisible characters at its ends are
// dropped, so a name of nothing else is none; within it they stay, as emoji and
// some scripts need them.
func name(parts ...string) string {
	s := trimInvisible(strings.Join(strings.Fields(strings.Join(parts, " ")), " "))
	if r := []rune(s); len(r) > maxName {
		return string(r[:maxName])
	}
	return s
}

// braillePattern is shown as nothing, too, though it is a symbol by its class.
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

// endsSign tells whether r, invisible itself, belongs to the sign before it: a
// joiner to the half letter that it makes (Malayalam names end so), a variation
// selector or the tags of a flag to an emoji.
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
