package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/rangetable"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/status"
)

// called fills a store with people of these names ("": none), pN@x.example the
// Nth of them.
func (l *lists) called(t testing.TB, names ...string) {
	t.Helper()
	for i, name := range names {
		l.insert(t, &person{store: "s1", email: fmt.Sprintf("p%d@x.example", i+1), name: name, kind: "lead", status: "active",
			courses: []string{}, products: []string{}})
	}
}

// list returns who is on a page: their names, or addresses where they have none.
func list(t testing.TB, s *store.Store, f customers.Filter) (who []string) {
	t.Helper()
	page, _, err := customers.New(s).Customers(t.Context(), f)
	if err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	for _, c := range page {
		name := c.Email
		if c.Name != nil {
			name = *c.Name
		}
		who = append(who, name)
	}
	return who
}

func TestSearch(t *testing.T) {
	l := openLists(t)
	l.product(t, "s1", "guitar", "Guitar: the Basics, in 30 Days")
	l.called(t, "Sean O’Neill", "Ciara O'Neill", "Jean‐Luc Petit", "Ronald Finch", "山田 太郎", "ジョン・スミス", "김 민수",
		"أحمد علي", "Ann Marie Petit")
	l.insert(t, &person{store: "s1", email: "ann-lee+tag@mail-x.example", name: "", kind: "lead", status: "active",
		courses: []string{"guitar"}, products: []string{}})
	oneills, yamada, ann := []string{"Sean O’Neill", "Ciara O'Neill"}, []string{"山田 太郎"},
		[]string{"ann-lee+tag@mail-x.example"}
	for q, want := range map[string][]string{
		"o'neill": oneills, "O’Neill": oneills, "oneill": oneills, "Oʼneill": oneills, "o`neill": oneills, "O´Neill": oneills,
		"neill":    oneills,
		"jean-luc": {"Jean‐Luc Petit"}, "jean—luc": {"Jean‐Luc Petit"}, "jean luc": {"Jean‐Luc Petit"},
		"petit, jean-": {"Jean‐Luc Petit"}, "luc-jean": nil, "n-lu": {"Jean‐Luc Petit"}, "e-l": nil,
		"finch ronald": {"Ronald Finch"}, "Finch, Ronald": {"Ronald Finch"}, "ronald  finch": {"Ronald Finch"},
		"finch;ronald": {"Ronald Finch"}, "Finch, R.": {"Ronald Finch"},
		"“Ronald” (Finch)": {"Ronald Finch"}, "Ronald Finch <p4@x.example>": {"Ronald Finch"}, "nch ron": {"Ronald Finch"},
		"ronald\u00a0finch": {"Ronald Finch"}, "ron\u200bald": {"Ronald Finch"},
		"finch petit": nil, "finch ronald p5": nil, "p4 finch": {"Ronald Finch"},
		"山田太郎": yamada, "山田 太郎": yamada, "太郎 山田": yamada, "山田　太郎": yamada, "太郎、山田": yamada, "田太": yamada, "太郎山田": nil,
		"ジョンスミス": {"ジョン・スミス"}, "スミス ジョン": {"ジョン・スミス"}, "ｼﾞｮﾝ･ｽﾐｽ": {"ジョン・スミス"}, "김민수": {"김 민수"}, "민수 김": {"김 민수"},
		"احمد":    {"أحمد علي"},
		"ann-lee": ann, "ann-lee+tag@mail-x.example": ann, "lee+tag": ann, "+tag@mail": ann, "tag ann": ann, "mail‑x.ex": ann,
		"basics guitar": ann, "30 days": ann, "guitar, basics": ann, "guitar finch": nil, "guitar p5": nil,
		"ann@x": nil, "p9@x": {"Ann Marie Petit"}, "9@x.exa": {"Ann Marie Petit"}, "petit marie": {"Ann Marie Petit"},
		"marie-petit": {"Ann Marie Petit"}, "annmarie": nil,
	} {
		for _, budget := range []int{5000, 1} {
			l.Store.WalkBudget = budget
			got := list(t, l.Store, customers.Filter{Store: "s1", Query: q, Sort: "first_seen"})
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", q, diff)
			}
		}
	}
	// What has no word asks for nobody in particular.
	for _, q := range []string{"-", " , ", "'", "—", "…", "()", "..", ",,"} {
		if got := list(t, l.Store, customers.Filter{Store: "s1", Query: q}); len(got) != 10 {
			t.Errorf("%q: %q", q, got)
		}
	}
}

// Two letters are found wherever they are: what is before them may be nothing, a letter
// of any script, or no letter.
func TestSearchForTwoLetters(t *testing.T) {
	l := openLists(t)
	with := []string{"Qxavier", "Ann Qxin", "Ann.Qx", "Faqx Lee", "Qx", "Жqx", "🦊qx", "山qx山", "Ann\u0001qx", "7qx"}
	l.called(t, append(with, "Q Xavier", "Xq", "Ж", "Qжx")...)
	for _, budget := range []int{5000, 1} {
		l.Store.WalkBudget = budget
		got := list(t, l.Store, customers.Filter{Store: "s1", Query: "QX", Sort: "first_seen"})
		if diff := gocmp.Diff(with, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

// What events tell is found and sorted too: of people, and of stores.
func TestSearchAndSortOfWhatWasTold(t *testing.T) {
	s := open(t)
	var e teller
	events := []store.NewEvent{e.platform("store.upserted", `{"id":"s1","name":"Jean‐Luc’s"}`)}
	for i, name := range []string{"Émile", "zoe", "Ben", "Åsa", "eva", "", "Sean O’Neill", "Finch  Ronald"} {
		events = append(events, e.enrolled("c1", fmt.Sprintf(`"email":"mia%d@x.example","name":%q`, i+1, name)))
	}
	apply(t, s, events, 3)
	want := []string{"Åsa", "Ben", "Émile", "eva", "Finch Ronald", "mia6@x.example", "Sean O’Neill", "zoe"}
	if diff := gocmp.Diff(want, list(t, s, customers.Filter{Store: "s1", Sort: "name"})); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(want)
	if diff := gocmp.Diff(want, list(t, s, customers.Filter{Store: "s1", Sort: "-name"})); diff != "" {
		t.Error(diff)
	}
	if got := list(t, s, customers.Filter{Store: "s1", Query: "ronald finch"}); len(got) != 1 {
		t.Error(got)
	}
	for _, q := range []string{"jean-luc's", "lucs jean", "S1, jean"} {
		if lines := storeLines(t, s, status.StoreFilter{Query: q, Limit: 5}); len(lines) != 1 {
			t.Errorf("%s: %+v", q, lines)
		}
	}
	if lines := storeLines(t, s, status.StoreFilter{Query: "jean s2", Limit: 5}); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
}

// All that Unicode calls a dash, a quotation mark or white space is folded.
func TestFoldKinds(t *testing.T) {
	_, url := openURL(t)
	unseen := []rune("\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff")
	for name, kind := range map[string]struct {
		tables []*unicode.RangeTable
		want   string
	}{
		"dashes and spaces": {[]*unicode.RangeTable{unicode.Pd, unicode.Zs, unicode.White_Space}, "e z"},
		"quotes":            {[]*unicode.RangeTable{unicode.Pi, unicode.Pf, rangetable.New([]rune("'`´\"＇＂′″")...)}, "ez"},
		"brackets":          {[]*unicode.RangeTable{rangetable.New([]rune("()[]{}<>（）［］「」『』【】《》〈〉")...)}, "e z"},
		"not seen":          {[]*unicode.RangeTable{unicode.Variation_Selector, rangetable.New(unseen...)}, "ez"},
	} {
		var texts, runes []string
		rangetable.Visit(rangetable.Merge(kind.tables...), func(r rune) {
			// with letters that are not ASCII, and perhaps without
			for _, text := range []string{"É%[1]c%[1]cZ", "e%[1]cz%[1]c"} {
				texts, runes = append(texts, fmt.Sprintf(text, r)), append(runes, fmt.Sprintf("%U", r))
			}
		})
		for i, got := range query(t, url, `SELECT fold(x) FROM unnest($1::text[]) x`, texts) {
			if got != kind.want {
				t.Errorf("%s: %s is folded to %q", name, runes[i], got)
			}
		}
	}
}

// The law: who is called something is found by parts of it in any order, however
// case, accents, apostrophes, hyphens and spaces are written; and a text that is
// folded stays as it is.
func TestSearchFindsAnySpelling(t *testing.T) {
	l := openLists(t)
	parts := []string{"ann", "Élodie", "O'Hara", "zoë", "LUC", "d’Arc", "Straße", "Łoś", "山田", "太郎", "김", "أحمد", "x1",
		"نور"}
	variants := strings.NewReplacer("'", "’", "’", "`", "É", "e\u0301", "ë", "E", "ß", "SS", "Ł", "l")
	spell := func(s string) string { return variants.Replace(s) }
	rapid.Check(t, func(rt *rapid.T) {
		l.exec(t, `DELETE FROM customers`)
		l.people = nil
		words := rapid.SliceOfN(rapid.SampledFrom(parts), 1, 5).Draw(rt, "words")
		join := rapid.SampledFrom([]string{" ", "-", "‐", " - ", "\u00a0", " (", "・", "  "})
		name := words[0]
		for _, w := range words[1:] {
			name += join.Draw(rt, "join") + w
		}
		l.called(t, name, "Somebody Else")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "order"), 1))
		random.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		q := ""
		for _, w := range words[:rapid.IntRange(1, len(words)).Draw(rt, "so many")] {
			if rapid.Bool().Draw(rt, "otherwise") {
				w = spell(w)
			}
			q += w + rapid.SampledFrom([]string{" ", ", ", "、", "\u3000 "}).Draw(rt, "between")
		}
		if got := list(t, l.Store, customers.Filter{Store: "s1", Query: strings.TrimSpace(q)}); len(got) != 1 ||
			got[0] != name {
			rt.Fatalf("%q is not found by %q: %q", name, q, got)
		}
		any := strings.ReplaceAll(rapid.String().Draw(rt, "any"), "\x00", "")
		var once, twice string
		if err := l.conn.QueryRow(t.Context(), `SELECT fold($1), fold(fold($1))`, any).Scan(&once, &twice); err != nil ||
			once != twice {
			rt.Fatalf("%q is folded to %q, and that to %q: %v", any, once, twice, err)
		}
	})
}

func TestSortByName(t *testing.T) {
	l := openLists(t)
	for _, order := range [][]string{
		{"Åsa", "Ben", "Émile", "eva", "p5@x.example", "zoe"},
		{"ada", "Ada", "Adá", "ADA Byron", "Ádám"}, // case and accents count where letters do not differ
		{"Li Wei", "Liam", "Lian"},                 // word by word
		{"DJ 2", "DJ 10", "DJ 100"},
		{"", "Øystein", "Peter"},                         // Ø is an O
		{"Żaneta", "Anna", "Борис", "أحمد", "田中", "김민수"}, // scripts one after the other
	} {
		want := slices.Clone(order)
		l.exec(t, `DELETE FROM customers`)
		switch order[0] {
		case "":
			want = []string{"Øystein", "p1@x.example", "Peter"}
		case "Żaneta":
			want = []string{"Anna", "Żaneta", "Борис", "أحمد", "김민수", "田中"}
		}
		if i := slices.Index(order, "p5@x.example"); i >= 0 {
			order = slices.Clone(order)
			order[i] = ""
		}
		l.called(t, order...)
		if diff := gocmp.Diff(want, list(t, l.Store, customers.Filter{Store: "s1", Sort: "name"})); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

// The law: pages by name, of any length, up and down, have everybody once, and
// one is the other turned round. Names are equal, or look equal, or are very long.
func TestNamePagesLoseNobody(t *testing.T) {
	l := openLists(t)
	long := strings.Repeat("長い名前", 250)
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"", "Zoë", "Zoe\u0308", "zoë", "ZOË", "Zoe", "Jean-Luc", "Jean‐Luc", "Jean Luc", "O'Neill",
			"O’Neill", "ﬁn", "fin", "Ａnn", "Ann", "A\u00adnn", "A\u200bnn", "7", "07", "007", "٧",
			"p3@x.example", "P3@X.example", "\U0001f600", "\ufffe", long, long + "a", strings.ToUpper(long),
			long[:len(long)-3] + "x"}),
		rapid.StringN(0, 12, -1))
	rapid.Check(t, func(rt *rapid.T) {
		l.exec(t, `DELETE FROM customers`)
		l.people = nil
		names := rapid.SliceOfN(name, 1, 45).Draw(rt, "names")
		for i := range names {
			names[i] = strings.ReplaceAll(names[i], "\x00", "")
		}
		l.called(t, names...)
		f := customers.Filter{Store: "s1", Limit: rapid.IntRange(1, 20).Draw(rt, "limit"), Sort: "name"}
		if rapid.Bool().Draw(rt, "sought") {
			f.Query = "x.example"
			l.Store.WalkBudget = rapid.SampledFrom([]int{1, 10, 5000}).Draw(rt, "budget")
		}
		up := l.all(rt, f)
		f.Sort = "-name"
		down := l.all(rt, f)
		slices.Reverse(down)
		everybody := slices.Clone(up)
		slices.SortFunc(everybody, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		var want []string
		for _, p := range l.people {
			want = append(want, fmt.Sprint(p.id))
		}
		if diff := gocmp.Diff(want, everybody); diff != "" {
			rt.Fatalf("%q, %d a page: -people +listed\n%s", names, f.Limit, diff)
		}
		if diff := gocmp.Diff(up, down); diff != "" {
			rt.Fatalf("%q, %d a page: -up +down\n%s", names, f.Limit, diff)
		}
	})
}
