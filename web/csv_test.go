package web

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/web/creators"
)

func TestDefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"Ada":                      "Ada",
		"ada@example.com":          "ada@example.com",
		"O'Brien - Smith":          "O'Brien - Smith",
		"a+b=c":                    "a+b=c",
		"=1+1":                     "'=1+1",
		"+tag@example.com":         "'+tag@example.com",
		"-7":                       "'-7",
		"@SUM(A1)":                 "'@SUM(A1)",
		"\t=1":                     "'\t'=1",
		"\tx":                      "'\tx",
		"\r\n=1":                   "'\r\n'=1",
		"  =1":                     "'  =1",
		"\u00a0\u3000=1":           "'\u00a0\u3000=1",
		"\ufeff=1":                 "'\ufeff=1",
		"\u200b=1":                 "'\u200b=1",
		"\x00=1":                   "'\x00=1",
		`"=1`:                      `'"=1`,
		"＝1":                       "'＝1",
		"＋1":                       "'＋1",
		"－1":                       "'－1",
		"＠x":                       "'＠x",
		"'=1":                      "'=1",
		"Ada;=1":                   "Ada;'=1",
		`Ada,"@x`:                  `Ada,'"@x`,
		"Ada; =1; -2":              "Ada;' =1;' -2",
		"=1; x, y; ＝2":             "'=1; x, y;' ＝2",
		"one\n=two":                "one\n'=two",
		"Mixing - a start; 10 - 9": "Mixing - a start; 10 - 9",
		"\xff=1":                   "\xff=1",
	} {
		if got := creators.Defused(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// However a text is cut into cells, none begins like a formula; and nothing but
// apostrophes is added.
func TestDefusedEverywhere(t *testing.T) {
	const formulas = "=+-@＝＋－＠"
	text := rapid.StringOf(rapid.RuneFrom([]rune(formulas + ",;\"' ab\t\r\n\u00a0")))
	rapid.Check(t, func(t *rapid.T) {
		in := text.Draw(t, "text")
		out := creators.Defused(in)
		for _, cell := range strings.FieldsFunc(out, func(r rune) bool { return strings.ContainsRune(",;\t\r\n", r) }) {
			if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, "\u00a0 \"")); strings.ContainsRune(formulas, first) {
				t.Fatalf("%q became %q, where %q is a formula", in, out, cell)
			}
		}
		if again := creators.Defused(out); again != out {
			t.Fatalf("%q became %q, then %q", in, out, again)
		}
		if strings.ReplaceAll(out, "'", "") != strings.ReplaceAll(in, "'", "") {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// BenchmarkSheet measures a row.
func BenchmarkSheet(b *testing.B) {
	at, title := now, "All about mixing, part 7"
	c := customers.Customer{ID: "4711", Email: "person4711@example.com", Name: &title, Type: "paying", Status: "active",
		FirstSeenAt: &at, LastActivityAt: &at,
		TotalSpent: []store.Money{{Amount: 1999, Currency: "usd"}}, Courses: []customers.Course{{Title: title, Progress: 45},
			{Title: title, Progress: 100}},
		Purchases: []customers.Purchase{{Title: &title, Amount: 1999, Currency: "usd"}}}
	s := creators.NewSheet()
	for b.Loop() {
		s.Customer(&c)
		if _, err := s.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
