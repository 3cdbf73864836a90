package customers

import (
	"errors"
	"strings"
	"testing"

	"rollcall/store/pg"
)

// What is wrong with a rule is said with its place.
func TestParseRuleRefuses(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for rule, want := range map[string]string{
		``:                              "is not JSON",
		`[]`:                            "one key",
		`{"tag":"a"}{"tag":"b"}`:        "is not JSON",
		`{"tag":"a","tag":"b"}`:         "/tag stands twice",
		`{"tag":"a","segment":"b"}`:     "one key",
		`{"all":[]}`:                    "/all is no list of conditions",
		`{"All":[{"tag":"a"}]}`:         "/All is not known; allowed are all, any, none, customer",
		`{"all":[{"any":[{"tga":1}]}]}`: "/all/0/any/0/tga is not known",
		`{"all":[{"tag":"a"},{"enrollment":{"course":"c","progres_max":1}}]}`://
		"/all/1/enrollment/progres_max is not known; allowed are course, progress_min",
		`{"enrollment":{"progress_max":101}}`:                           `/enrollment/progress_max`,
		`{"enrollment":{"progress_max":[1,2]}}`:                         "/enrollment/progress_max has 2 values; give one",
		`{"enrollment":{"course":[]}}`:                                  "/enrollment/course has 0 values",
		`{"enrollment":{"course":{"id":"c"}}}`:                          "/enrollment/course is no text",
		`{"enrollment":{"course":true}}`:                                "/enrollment/course is no text",
		`{"enrollment":{"completed":"maybe"}}`:                          `"maybe" is not known; allowed are yes, no`,
		`{"enrollment":{"enrolled_after":"soon"}}`:                      "/enrollment/enrolled_after",
		`{"enrollment":{"times_min":0}}`:                                "/enrollment/times_min",
		`{"enrollment":{"times_min":3,"times_max":2}}`:                  "/enrollment/times_max",
		`{"enrollment":{"progress_min":50,"progress_max":10}}`:          "/enrollment/progress_max is less than the minimum",
		`{"spent":{"min":"9.5","max":"9"}}`:                             "/spent/max is less than the minimum",
		`{"customer":{"q":""}}`:                                         "/customer/q is empty",
		`{"customer":{}}`:                                               "/customer is empty",
		`{"customer":"lead"}`:                                           "/customer is not an object",
		`{"customer":{"times_max":0}}`:                                  "/customer/times_max is not known",
		`{"spent":{"currency":"usd"}}`:                                  "/spent lacks min or max",
		`{"spent":{"min":"1,5"}}`:                                       "/spent/min",
		`{"spent":{"min":"1","currency":"USD"}}`:                        "/spent/currency",
		`{"subscription":{"status":["active","dead"]}}`:                 `"dead" is not known`,
		`{"tag":"\u0000"}`:                                              "",
		`{"tag":"` + strings.Repeat("x", 17<<10) + `"}`:                 "at most 16384",
		`{"any":[` + many(51, `{"tag":"a"}`) + `]}`:                     "51 conditions, at most 50",
		`{"all":[{"all":[{"all":[{"all":[{"all":[{"tag":"a"}]}]}]}]}]}`: "5 deep, at most 4",
		strings.Repeat(`{"all":[`, 2000):                                "is not JSON",
	} {
		_, err := ParseRule(rule)
		var bad *pg.BadParam
		if !errors.As(err, &bad) || bad.Name != "rule" || !strings.Contains(bad.Reason, want) {
			t.Errorf("%.80s: %v, want %q", rule, err, want)
		}
	}
}

// Rules that say the same are written alike, and what is written is read as the same.
func TestRuleIsCanonical(t *testing.T) {
	for rule, want := range map[string]string{
		` {"tag" : ["b","a","b"]} `: `{"tag":["a","b"]}`,
		`{"tag":["a"]}`:             `{"tag":"a"}`,
		`{"enrollment":{"progress_max":"10.50","course":"c"}}`: `{"enrollment":{"course":"c","progress_max":10.5}}`,
		`{"spent":{"min":99.5}}`:                               `{"spent":{"min":"99.5"}}`,
		`{"subscription":{}}`:                                  `{"subscription":{}}`,
		`{"none":[{"any":[{"product":"p"}]}]}`:                 `{"none":[{"any":[{"product":"p"}]}]}`,
		`{"customer":{"q":"<é>"}}`:                             `{"customer":{"q":"<é>"}}`,
	} {
		for range 2 {
			r, err := ParseRule(rule)
			if err != nil || r.String() != want {
				t.Errorf("%s is written %s, %v, want %s", rule, r, err, want)
			}
			rule = want
		}
	}
}
