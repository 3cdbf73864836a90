package facts

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// Each line is one mailbox, in our spelling first; no two lines are the same one.
var mailboxes = [][]string{
	{"ava.lindqvist@example.com", " Ava.Lindqvist@Example.com\n", "mailto:ava.lindqvist@example.com",
		"MAILTO:ava.lindqvist@example.com?subject=Hi%20you",
		"Ava Lindqvist <Ava.Lindqvist@example.com>", `"Lindqvist, Ava" <ava.lindqvist@example.com>`,
		"<ava.lindqvist@example.com>", "<mailto:ava.lindqvist@example.com>",
		"\ufeffava.lindqvist@example.com", "ava.\u200blindqvist@example.com", "ava.lind\u00adqvist@exam\u00adple.com",
		"\u202aava.lindqvist@example.com\u202c",
		"ava.lindqvist\u2060@example.com\u200e", "ava.lindqvist@example.com.", "\u00a0ava.lindqvist@example.com\u3000",
		"ava.lindqvist@ｅxample。com", "ava.lindqvist@ex\u200dample.com"},
	{"jürgen@toepferei.example", "ju\u0308rgen@toepferei.example", "Jürgen@Toepferei.example",
		"ju\u200b\u0308rgen@toepferei.example"},
	{"jürgen.Ü@toepferei.example", "Jürgen.U\u0308@toepferei.example"},
	{"rosa@töpferei.example", "rosa@xn--tpferei-90a.example", "Rosa@XN--TPFEREI-90A.example", "rosa@TÖPFEREI.example",
		"rosa@to\u0308pferei.example", "rosa@xn--tpferei-90a.example."},
	{"kim@victim.example", "KIM@VICTIM.EXAMPLE"},
	{"kİm@victi\u0307m.example", "kİm@victİm.example", "KİM@VICTİM.EXAMPLE"},
	{"kım@victim.example"},
	{"ki\u0307m@victim.example", "Ki\u0307m@victim.example"}, // i with a dot more: not İ
	{"\u212aim@victim.example", "\u212aIM@Victim.example"},   // the Kelvin sign, which NFC takes for K
	{"ｋim@victim.example"},                                   // fullwidth
	{"kim\u1fef@victim.example"},                             // varia, which NFC takes for a grave accent
	{"kim`@victim.example"},
	{"ſim@victim.example"}, {"sim@victim.example"}, // long s
	{"ﬁn@victim.example"}, {"fin@victim.example"}, // ligature
	{"straße@victim.example"}, {"strasse@victim.example"}, {"straẞe@victim.example"},
	{"σίσυφος@victim.example"}, {"σίσυφοσ@victim.example"}, {"ΣΊΣΥΦΟΣ@victim.example"},
	{"kim@σίσυφος.example"}, {"kim@σίσυφοσ.example", "kim@ΣΊΣΥΦΟΣ.example"},
	{"kim@kiosk.example", "kim@\u212aios\u212a.example", "kim@ｋｉｏｓｋ.example"}, // IDNA takes them for k
	{"q\u0323@victim.example", "Q\u0323@victim.example"},                      // nothing composes these
	{"ẖ@victim.example", "h\u0331@victim.example", "H\u0331@victim.example"},  // these only in lower case
	{"kim@straße.example", "kim@xn--strae-oqa.example"},
	{"kim@strasse.example"},
	{"kim@sub_domain.a--b.example"},
	{"kim@r3---sn.töpferei.example", "kim@r3---sn.xn--tpferei-90a.example"},
	{"kim@xn--zzzzzzzzzz99999.example", "kim@XN--zzzzzzzzzz99999.example"},
	{"kim@نامه\u200cای.example", "kim@xn--mgba3gch31f060k.example"},
	{"kim@نامهای.example"},
	{`"a@b"@example.com`},
}

func TestEmail(t *testing.T) {
	seen := map[string]string{}
	for _, box := range mailboxes {
		want := Email(box[0])
		if want != box[0] {
			t.Errorf("Email(%q) = %q", box[0], want)
		}
		if other, ok := seen[want]; ok {
			t.Errorf("%q and %q are both %q", box[0], other, want)
		}
		seen[want] = box[0]
		for _, s := range box {
			if got := Email(s); got != want || got == "" {
				t.Errorf("Email(%q) = %q, want %q", s, got, want)
			}
		}
	}
	for _, none := range []string{
		"", " ", "user_2Ava", "@x", "@@x", "a@b@x", "a@", "a@.", "a b@x.example", "a@x .example", "a\u2003b@x.example",
		"a@x\nb", "a\x00@x.example", "\u200b@x.example", "a@\u200b",
		"a@x.example,b@x.example", "a@x.example;b@x.example", "Ava <>", "mailto:", "<a@x.example", "a@x.example\xff",
		strings.Repeat("a", 250) + "@x.example", strings.Repeat("ü", 125) + "@x.example",
		strings.Repeat("x", 5000) + " <a@x.example>",
	} {
		if got := Email(none); got != "" {
			t.Errorf("Email(%q) = %q, want none", none, got)
		}
	}
}

// settled checks what must hold of whatever Email returns.
func settled(t interface {
	Fatalf(string, ...any)
}, said string) {
	e := Email(said)
	if e == "" {
		return
	}
	at := strings.LastIndexByte(e, '@')
	local, domain := e[:at], e[at+1:]
	switch {
	case Email(e) != e:
		t.Fatalf("Email(%q) = %q, and of that %q", said, e, Email(e))
	case len(e) > maxEmail || local == "" || domain == "" || !utf8.ValidString(e) || normal(norm.NFC, e) != e:
		t.Fatalf("Email(%q) = %q", said, e)
	case strings.ContainsFunc(e, unicode.IsSpace) || strings.ContainsFunc(local, invisible):
		t.Fatalf("Email(%q) = %q has white space or invisible characters", said, e)
	}
	for _, s := range Spellings(e) {
		if s == e {
			t.Fatalf("Spellings(%q) holds it itself", e)
		}
	}
}

// What is cut off, put around and folded is done once: nothing is left to do.
func TestEmailSettles(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"a", "K", "\u212a", "ü", "u\u0308", "İ", "ß", "@", "@", ".", "。", "xn--",
		"xn--tpferei-90a", "XN--", "-", "<", ">", "mailto:", "MAILTO:", "?", " ",
		"\u200b", "\u200c", "\u200d", "\u00ad", "\ufeff", "क\u094d", "\u0338", "＜", "ａ", "，", "％", "\u034f", "\ufe0f", "1",
		"é", "\U000e0041", "א", "ا"})
	rapid.Check(t, func(r *rapid.T) {
		settled(r, strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(r, "pieces"), ""))
	})
}

func FuzzEmail(f *testing.F) {
	for _, box := range mailboxes {
		for _, s := range box {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) { settled(t, s) })
}

// An address is found by its spellings, whichever it was written in.
// No letter before the @ is taken for an ASCII one, nor for one that differs by case.
func TestEmailFoldsASCIIOnly(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if norm.NFKD.String(string(r)) == string(r) && unicode.ToLower(r) == r && unicode.ToUpper(r) == r {
			continue // nothing takes it for another
		}
		s := Email("a" + string(r) + "b@x.example")
		if got := strings.TrimSuffix(s, "@x.example"); s != "" && got != "ab" &&
			(plainAddress(s) || len([]rune(got)) > 2 && unicode.IsUpper(r) != unicode.IsUpper([]rune(got)[1])) {
			t.Errorf("%U is spelled %q", r, s)
		}
		for _, other := range Spellings("a" + string(r) + "b@x.example") {
			if plainAddress(other) {
				t.Errorf("%U may be written %q", r, other)
			}
		}
	}
}

func TestSpellings(t *testing.T) {
	if got := Spellings("ava.lindqvist@example.com"); got != nil {
		t.Errorf("an address in ASCII has no other: %q", got)
	}
	for _, c := range []struct {
		email string
		want  []string // among them
		never string
	}{
		{"rosa@töpferei.example", []string{"rosa@xn--tpferei-90a.example", "rosa@to\u0308pferei.example"}, ""},
		{"jürgen@töpferei.example", []string{"ju\u0308rgen@xn--tpferei-90a.example", "ju\u0308rgen@töpferei.example",
			"ju\u0308rgen@to\u0308pferei.example", "jürgen@xn--tpferei-90a.example"}, ""},
		{"Übel@x.example", []string{"U\u0308bel@x.example", "übel@x.example", "u\u0308bel@x.example"}, ""},
		{Email("kİm@victİm.example"), []string{"kİm@xn--victim-tyd.example"}, "kim@victim.example"},
	} {
		got := Spellings(c.email)
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: %q is not among %q", c.email, w, got)
			}
		}
		if slices.Contains(got, c.never) || slices.Contains(got, c.email) {
			t.Errorf("%q: %q", c.email, got)
		}
	}
}

// A name is what can be seen of it.
func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"  Ava \t Lindqvist\n": "Ava Lindqvist", "\u200b": "", "\u200b \u2060 \ufeff": "", "\u3164": "", "\u2800\u2800": "",
		"\u200d": "", "\ufe0f": "",
		"\ufeffAva\u200b": "Ava", "\u202eAva\u202c": "Ava", "Ava \u200b": "Ava", "\u00adAva\u00ad": "Ava",
		"👩\u200d🎓 Kim": "👩\u200d🎓 Kim", "Kim ❤\ufe0f": "Kim ❤\ufe0f", "മോഹന്\u200d": "മോഹന്\u200d", "क्\u200dष": "क्\u200dष",
		"Kim\u200d":                           "Kim",
		"Kim 🏴\U000e0067\U000e0062\U000e007f": "Kim 🏴\U000e0067\U000e0062\U000e007f", "Kim\U000e0067": "Kim",
		"نامه\u200cای": "نامه\u200cای",
	} {
		if got := name(in); got != want {
			t.Errorf("name(%+q) = %+q, want %+q", in, got, want)
		}
	}
	if got := name("\u200b", "Kim", ""); got != "Kim" {
		t.Errorf("%q", got)
	}
}
