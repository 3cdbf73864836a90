package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whom a payload names is found wherever it does, and nobody else is.
func TestNamedIn(t *testing.T) {
	for text, want := range map[string][]string{
		`ann@x.example`:                                  {"address ann@x.example"},
		` Ann@X.example, joann@x.example.`:               {"address ann@x.example", "address joann@x.example"},
		`mailto:ann+a@x.example?subject=a@`:              {"address ann+a@x.example"},
		`<ann@x.example>`:                                {"address ann@x.example"},
		"line\nann@x.example\tto":                        {"address ann@x.example"},
		`https://x.example/?email=ann%40x.example&b=1`:   {"address ann@x.example"},
		`user_2Ann0 user:user_2b`:                        {"user user_2Ann0", "user user_2b"},
		`/v1/customers/cus_Ann-1`:                        {"stripe_customer acct_1/cus_Ann"},
		"a\u00a0ann@x.example\u2003b":                    {"address ann@x.example"},
		`gcus_1`:                                         {"stripe_customer acct_1/gcus_1"},
		`superuser_1 focus_1 user_ cus_ @ a@ @b accus_2`: nil,
		`@@@`:                 nil,
		`jörg@müller.example`: {"address jörg@müller.example"},
	} {
		raw, err := json.Marshal(map[string]any{"a": []string{text}, "n": 7})
		if err != nil {
			t.Fatal(err)
		}
		ascii := fmt.Appendf(nil, `{"a":%s}`, strings.Trim(fmt.Sprintf("%+q", text), " ")) // as some senders escape
		key := fmt.Appendf(nil, `{%q:null}`, text)
		for _, payload := range [][]byte{raw, ascii, key} {
			var got []string
			for _, i := range namedIn(payload, "acct_1") {
				got = append(got, i.kind+" "+i.value)
			}
			slices.Sort(got)
			got = slices.Compact(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", payload, diff)
			}
		}
	}
}

// Names are found in what was written, and nothing that only looks like one.
func TestPattern(t *testing.T) {
	s := openOldInbox(t)
	ids := []identity{{anAddress, "ann+a@x.example"}, {aUser, "user_1"}, {aUser, "42"}, {aStripeCustomer, "acct_1/cus_1"}}
	for text, want := range map[string]string{
		"ann+a@x.example":                                       "N",
		"Ann+A@X.example. And ann+a@x.example":                  "N. And N",
		"joann+a@x.example ann+a@x.example.org annna@x.example": "joann+a@x.example ann+a@x.example.org annna@x.example",
		"user_1, user_12, (user_1)":                             "N, user_12, (N)",
		"enrollment of user:42 in course 42":                    "enrollment of user:N in course 42",
		"cus_1 cus_1 cus_11":                                    "N N cus_11",
		"nobody":                                                "nobody",
	} {
		for _, c := range []struct {
			ids  []identity
			want string
		}{{ids, want}, {nil, text}} {
			var got string
			var named bool
			err := s.Pool.QueryRow(t.Context(), `SELECT regexp_replace($1, $2, 'N', 'gi'), $1 ~* $2`, text, pattern(c.ids)).Scan(
				&got, &named)
			if err != nil || got != c.want || named != (got != text) {
				t.Errorf("of %v %q became %q, want %q; %v %v", c.ids, text, got, c.want, named, err)
			}
		}
	}
}
