package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func platform(t *testing.T, typ, data string) Set {
	t.Helper()
	return read(t, "platform", typ, `{"data":`+data+`}`)
}

// What a message has fixed for a time that lay ahead when it came is not applied,
// not even again: nothing could change it before that time.
func TestPlatformTimestampAhead(t *testing.T) {
	received := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]string{
		time.Hour: "",
		time.Hour + time.Second: `store.upserted (msg_1): timestamp 2026-01-12T11:00:01Z is more than an hour after the ` +
			`event was received, at 2026-01-12T10:00:00Z: send it again with the time of the change`,
		-50 * 365 * 24 * time.Hour: "",
	} {
		_, err := Read(Event{Source: "platform", ID: "msg_1", Type: "store.upserted", OccurredAt: received.Add(ahead),
			ReceivedAt: received, Payload: []byte(`{"data":{"id":"s1"}}`)})
		if fmt.Sprint(err) != orNil(want) {
			t.Errorf("%s: %v", ahead, err)
		}
	}
}

func orNil(text string) string {
	if text == "" {
		return "<nil>"
	}
	return text
}

// Members are a set, whatever order and spaces they come in. That there are none
// is said; left out, nothing is.
func TestStoreMembers(t *testing.T) {
	for said, want := range map[string][]string{
		`,"member_user_ids":["u2"," u1","u2",7]`: {"7", "u1", "u2"}, `,"member_user_ids":[]`: {},
		`,"member_user_ids":null`: {}, ``: nil,
	} {
		s := platform(t, "store.upserted", `{"id":"s"`+said+`}`).Stores[0]
		if diff := cmp.Diff(want, s.MemberUserIDs); diff != "" {
			t.Errorf("%s: %s", said, diff)
		}
		if emptied := len(want) == 0 && want != nil; slices.Contains(s.Withdrawn, "member_user_ids") != emptied {
			t.Errorf("%s: withdrawn %q", said, s.Withdrawn)
		}
		text, _ := json.Marshal(s)
		if wrote := strings.Contains(string(text), `"member_user_ids":null`); wrote != (want == nil) {
			t.Errorf("%s: %s", said, text)
		}
	}
}

// A link that is left out says nothing; null, "" and [] say that it is no more; and
// what cannot be used says nothing, with a note.
func TestPlatformWithdraws(t *testing.T) {
	links := map[string][]string{
		"store.upserted":   {"owner_user_id", "member_user_ids", "stripe_account_id"},
		"product.upserted": {"store_id", "items", "stripe_product_ids", "stripe_price_ids"},
	}
	withdrawn := func(s Set) []string {
		if len(s.Stores) > 0 {
			return s.Stores[0].Withdrawn
		}
		return s.Products[0].Withdrawn
	}
	for typ, names := range links {
		for _, n := range names {
			for value, want := range map[string]bool{`null`: true, `""`: true, `[]`: true, ` [ ] `: true, `" "`: true,
				`"x"`: false, `["x"]`: false, `7`: false, `{}`: false} {
				if n == "member_user_ids" && (value == `"x"` || value == `7` || value == `{}`) {
					continue // an error: see TestPlatformErrors
				}
				set := platform(t, typ, `{"id":"i","kind":"course","`+n+`":`+value+`}`)
				if got := slices.Contains(withdrawn(set), n); got != want || len(withdrawn(set)) > 1 {
					t.Errorf("%s of %s: withdrawn %q", value, n, withdrawn(set))
				}
				if isID := !strings.HasSuffix(n, "s"); value == `{}` && len(set.Notes) != 1 && isID {
					t.Errorf("%s of %s: notes %q", value, n, set.Notes)
				}
			}
		}
		if set := platform(t, typ, `{"id":"i","kind":"course"}`); withdrawn(set) != nil {
			t.Errorf("%s that says nothing withdraws %q", typ, withdrawn(set))
		}
	}
	items := func(data string) []string {
		return platform(t, "product.upserted", `{"id":"p","kind":"bundle"`+data+`}`).Products[0].Items
	}
	if got := items(`,"items":[]`); got == nil || len(got) != 0 {
		t.Errorf("emptied: %#v", got)
	}
	if got := items(``); got != nil {
		t.Errorf("left out: %#v", got)
	}
	if got := items(`,"items":[{},null]`); got != nil {
		t.Errorf("unusable: %#v", got)
	}
	if got := items(`,"items":["a",{},91501,"a"]`); !slices.Equal(got, []string{"a", "91501"}) {
		t.Errorf("partly usable: %#v", got)
	}
}

// Ids may be numbers, wherever they are.
func TestPlatformNumericIDs(t *testing.T) {
	e := platform(t, "enrollment.upserted", `{"course_id":91501,"user_id":7,"store_id":3.0}`).Enrollments[0]
	if e.CourseID != "91501" || e.Person != "user:7" || e.StoreRef != "3" {
		t.Errorf("%+v", e)
	}
	p := platform(t, "product.upserted",
		`{"id":91501,"kind":"Course ","title":1984,"stripe_price_ids":"price_1"}`).Products[0]
	if p.ID != "91501" || p.Kind != "course" || p.Title != "1984" || !slices.Equal(p.StripePriceIDs, []string{"price_1"}) {
		t.Errorf("%+v", p)
	}
}

func TestPlatformProgress(t *testing.T) {
	for said, want := range map[string]string{
		`45`: "45", `45.5`: "45.5", `"45.5"`: "45.5", `"45 %"`: "45", `100.00000000000001`: "100", `105`: "100", `-3`: "0",
		`99.9999999`: "100", `33.333333333333336`: "33.333333", `1e308`: "100", `-0.0`: "0",
		`null`: "none", `""`: "none",
		`"NaN"`: "noted", `"Infinity"`: "noted", `true`: "noted", `[5]`: "noted", `"half"`: "noted", `1e999`: "noted",
		`"0x10"`: "noted",
	} {
		set := platform(t, "enrollment.upserted", `{"course_id":"c","user_id":"u","progress":`+said+
			`,"enrolled_at":"2026-01-01"}`)
		e, got := set.Enrollments[0], "none"
		switch {
		case len(set.Notes) > 0:
			got = "noted"
			if e.Progress != nil || !strings.HasPrefix(set.Notes[0], "progress must be a number from 0 to 100, got ") {
				t.Errorf("%s: %v %q", said, e.Progress, set.Notes)
			}
		case e.Progress != nil:
			got = fmt.Sprint(*e.Progress)
		}
		if got != want || (e.ProgressVersion != "") != (e.Progress != nil) || e.EnrolledAt == nil {
			t.Errorf("%s: %s, want %s: %+v", said, got, want, e)
		}
	}
}

func TestPlatformTimes(t *testing.T) {
	newYear := "2026-01-01T00:00:00Z"
	for said, want := range map[string]string{
		`"2026-01-01T00:00:00Z"`: newYear, `"2026-01-01T01:00:00+01:00"`: newYear, `"2026-01-01"`: newYear,
		`" 2026-01-01 "`: newYear,
		`1767225600000`:  newYear, `1767225600`: newYear, `"1767225600000"`: newYear, `"1767225600"`: newYear,
		`1.7672256e12`:    newYear,
		`1767225600000.5`: "2026-01-01T00:00:00.0005Z", `1767225600.25`: "2026-01-01T00:00:00.25Z",
		`946684800000`: "2000-01-01T00:00:00Z", `946684800`: "2000-01-01T00:00:00Z", `99999999999`: "5138-11-16T09:46:39Z",
		`100000000000`: "1973-03-03T09:46:40Z",
		`null`:         "", `""`: "",
		`"soon"`: "noted", `"31.01.2026"`: "noted", `20260131`: "noted", `2026`: "noted", `0`: "noted", `-1`: "noted",
		`1e300`: "noted", `1767225600000000000`: "noted",
		`true`: "noted", `{}`: "noted", `"0001-01-01T00:00:00Z"`: "noted", `"9999-12-31T23:59:59-05:00"`: "noted",
		`"NaN"`: "noted",
	} {
		set := platform(t, "enrollment.upserted", `{"course_id":"c","user_id":"u","enrolled_at":`+said+`,"progress":5}`)
		e, got := set.Enrollments[0], ""
		switch {
		case len(set.Notes) > 0:
			got = "noted"
			if want := " is no time: write RFC 3339, a day, or seconds or milliseconds since 1970"; !strings.HasPrefix(
				set.Notes[0], "enrolled_at ") || !strings.HasSuffix(set.Notes[0], want) {
				t.Errorf("%s: %q", said, set.Notes)
			}
		case e.EnrolledAt != nil:
			got = e.EnrolledAt.UTC().Format(time.RFC3339Nano)
		}
		if got != want || (e.EnrolledVersion != "") != (e.EnrolledAt != nil) || e.Progress == nil {
			t.Errorf("%s: %q, want %q: %+v", said, got, want, e)
		}
	}
	p := platform(t, "purchase.recorded",
		`{"id":"b","product_id":"p","user_id":"u","amount":1,"currency":"usd","purchased_at":"soon"}`)
	if !p.Payments[0].PaidAt.Equal(noon) || len(p.Notes) != 1 {
		t.Errorf("a purchase of no time is of its event's: %+v %q", p.Payments[0], p.Notes)
	}
}

// That a course is not completed is said by null; left out, nothing is.
func TestPlatformNotCompleted(t *testing.T) {
	for said, want := range map[string]bool{`,"completed_at":null`: true, `,"completed_at":""`: true, ``: false,
		`,"completed_at":"soon"`: false} {
		e := platform(t, "enrollment.upserted", `{"course_id":"c","user_id":"u"`+said+`}`).Enrollments[0]
		if e.CompletedAt != nil || (e.CompletedVersion != "") != want {
			t.Errorf("%q: %v %q", said, e.CompletedAt, e.CompletedVersion)
		}
	}
	e := platform(t, "enrollment.upserted",
		`{"course_id":"c","user_id":"u","progress":null,"name":null,"enrolled_at":null,"store_id":null,`+
			`"email":null}`).Enrollments[0]
	want := Enrollment{CourseID: "c", Person: "user:u"}
	if diff := cmp.Diff(want, e, cmpopts.IgnoreFields(Enrollment{}, "SaidAt", "FirstSaidAt", "Version")); diff != "" {
		t.Errorf("null is no news: %s", diff)
	}
}

func TestPlatformAmounts(t *testing.T) {
	for said, want := range map[string]string{
		`7840`: "7840", `7840.000000000001`: "7840", `1998.9999999999998`: "1999", `19.999999`: "20", `"7840"`: "7840",
		`"7840.00"`: "7840", `7.84e3`: "7840", `0`: "0", `-0.0`: "0", `1000000000000000`: "1000000000000000",
		`19.5`: "whole number", `1999.99`: "whole number", `19.99`: "whole number", `1.999`: "whole number",
		`"12,50"`: "whole number", `"$5"`: "whole number", `"NaN"`: "whole number", `null`: "whole number",
		`true`: "whole number", `{}`: "got an object",
		`-1`: "must not be negative", `1000000000000001`: "at most 10^15", `1e18`: "at most 10^15",
		`9223372036854775808`: "at most 10^15", `1e999`: "whole number", `-1e17`: "at most 10^15",
	} {
		set, err := Read(Event{Source: "platform", ID: "msg_1", Type: "purchase.recorded", OccurredAt: noon,
			Payload: []byte(`{"data":{"id":"b","product_id":"p","user_id":"u","amount":` + said + `,"currency":" USD"}}`)})
		if err == nil {
			if got := fmt.Sprint(*set.Payments[0].Amount); got != want || set.Payments[0].Currency != "usd" {
				t.Errorf("%s: %s, want %s", said, got, want)
			}
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "amount") {
			t.Errorf("%s: %v, want %q", said, err, want)
		}
	}
}

// What a product costs is shown, and nothing hangs on it.
func TestPlatformPrice(t *testing.T) {
	p := platform(t, "product.upserted",
		`{"id":"p","kind":"course","price":{"amount":"19990","currency":"EUR"}}`).Products[0]
	if p.PriceAmount == nil || *p.PriceAmount != 19990 || p.PriceCurrency != "eur" {
		t.Errorf("%+v", p)
	}
	for said, want := range map[string]string{
		`null`: "", `{"amount":-1,"currency":"usd"}`: "price: amount must not be negative, got -1",
		`5`:                           "price must be an object of amount and currency, got 5",
		`{"amount":1,"currency":"€"}`: `price: currency must be three letters, as usd, got "€"`,
		`{"amount":19.5}`:             "price: amount must be a whole number of minor units (cents), got 19.5",
	} {
		set := platform(t, "product.upserted", `{"id":"p","kind":"course","price":`+said+`}`)
		if got := strings.Join(set.Notes, "; "); got != want || set.Products[0].PriceAmount != nil ||
			set.Products[0].ID != "p" {
			t.Errorf("%s: %q, want %q", said, got, want)
		}
	}
}

// What breaks the platform's contract is an error that says what to mend.
func TestPlatformErrors(t *testing.T) {
	long := strings.Repeat("x", maxID+1)
	for _, c := range []struct{ typ, data, want string }{
		{"store.upserted", `{}`, "store.upserted (msg_1): id must be 1 to 255 characters, got nothing"},
		{"store.upserted", `{"id":null}`, "id must be 1 to 255 characters, got null"},
		{"store.upserted", `{"id":0.5}`, "id must be 1 to 255 characters, got 0.5"},
		{"store.upserted", `{"id":["s"]}`, "id must be 1 to 255 characters, got a list"},
		{"store.upserted", `{"id":"` + long + `"}`, `id must be 1 to 255 characters, got "` + strings.Repeat("x", 40) + `…"`},
		{"store.upserted", `{"id":"s","member_user_ids":["u1"," "]}`,
			`each of member_user_ids must be 1 to 255 characters, got " "`},
		{"store.upserted", `{"id":"s","member_user_ids":["u1",null]}`,
			"each of member_user_ids must be 1 to 255 characters, got null"},
		{"store.upserted", `{"id":"s","member_user_ids":"u1"}`, `member_user_ids must be a list of ids, got "u1"`},
		{"store.upserted", `{"id":"s","member_user_ids":{}}`, "member_user_ids must be a list of ids, got an object"},
		{"product.upserted", `{"id":"p","kind":"boat"}`,
			`kind "boat" must be one of course, digital, bundle, coaching, membership, other`},
		{"product.upserted", `{"id":"p"}`,
			"kind is missing: it must be one of course, digital, bundle, coaching, membership, other"},
		{"product.deleted", `{"id":{}}`, "id must be 1 to 255 characters, got an object"},
		{"enrollment.upserted", `{"course_id":"c"}`, "user_id or a valid email is needed: got neither"},
		{"enrollment.upserted", `{"course_id":"c","email":"user_1"}`,
			"user_id or a valid email is needed: email is no email address"},
		{"enrollment.upserted", `{"course_id":"c","user_id":true}`,
			"user_id or a valid email is needed: user_id must be 1 to 255 characters, got true"},
		{"enrollment.upserted", `{"course_id":"` + long + `","user_id":"u"}`,
			"enrollment.upserted (msg_1): course_id must be 1 to 255 characters, got "},
		{"enrollment.deleted", `{"user_id":"u"}`, "course_id must be 1 to 255 characters, got nothing"},
		{"purchase.recorded", `{"id":"b","user_id":"u","amount":1,"currency":"usd"}`,
			"product_id must be 1 to 255 characters, got nothing"},
		{"purchase.recorded", `{"id":"b","product_id":"p","user_id":"u","amount":1,"currency":"dollars"}`,
			`currency must be three letters, as usd, got "dollars"`},
		{"purchase.recorded", `{"id":"b","product_id":"p","user_id":"u","amount":1,"currency":"€"}`,
			"currency must be three letters"},
		{"purchase.recorded", `{"id":"b","product_id":"p","user_id":"u","amount":1.5,"currency":"usd"}`,
			"amount must be a whole number of minor units (cents), got 1.5"},
		{"purchase.recorded", `[]`, "data must be an object"},
	} {
		set, err := Read(Event{Source: "platform", ID: "msg_1", Type: c.typ, OccurredAt: noon,
			Payload: []byte(`{"data":` + c.data + `}`)})
		var bad *Malformed
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "msg_1") ||
			!cmp.Equal(set, Set{}) {
			t.Errorf("%s %s: %v, want %q", c.typ, c.data, err, c.want)
		}
	}
}

// Whatever one field is, the others count, or an error names the field in words.
func TestPlatformOddFields(t *testing.T) {
	odd := []string{`null`, `""`, `"x"`, `" "`, `7`, `-7`, `0.5`, `1e999`, `true`, `[]`, `[1]`, `[null]`, `[{}]`, `{}`,
		`{"id":"x"}`, `"` + strings.Repeat("y", 300) + `"`}
	for typ, data := range platformSamples {
		var whole map[string]json.RawMessage
		if err := json.Unmarshal([]byte(data), &whole); err != nil {
			t.Fatal(err)
		}
		for field := range whole {
			for _, value := range odd {
				changed := map[string]json.RawMessage{}
				for k, v := range whole {
					changed[k] = v
				}
				changed[field] = json.RawMessage(value)
				text, err := json.Marshal(changed)
				if err != nil {
					t.Fatal(err)
				}
				set, err := Read(Event{Source: "platform", ID: "msg_1", Type: typ, OccurredAt: noon,
					Payload: []byte(`{"data":` + string(text) + `}`)})
				said := strings.Join(set.Notes, " ")
				if err != nil {
					said = err.Error()
				}
				if said != "" && !strings.Contains(said, field) || strings.Contains(said, "json:") ||
					strings.Contains(said, "Go ") {
					t.Errorf("%s with %s %s: %q", typ, field, value, said)
				}
			}
		}
	}
}

// Cases of testdata: what real deployments met, and what it comes to.
func TestPlatformCases(t *testing.T) {
	sets := map[string][]Set{}
	paths, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Events []struct {
				Path string
				Body json.RawMessage
			}
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			var head struct{ Type string }
			if err := json.Unmarshal(e.Body, &head); err != nil {
				t.Fatal(err)
			}
			set := read(t, filepath.Base(e.Path), head.Type, string(e.Body))
			if len(set.Notes) > 0 {
				t.Errorf("%s: %q", path, set.Notes)
			}
			sets[filepath.Base(path)] = append(sets[filepath.Base(path)], set)
		}
	}
	var progress []float64
	for _, s := range sets["progress-over-100.json"] {
		for _, e := range s.Enrollments {
			if e.Progress != nil {
				progress = append(progress, *e.Progress)
			}
		}
	}
	if !slices.Equal(progress, []float64{100, 100}) {
		t.Errorf("progress %v", progress)
	}
	addresses := map[string]bool{}
	for _, s := range sets["address-spellings.json"] {
		for _, u := range s.Users {
			addresses[u.Email] = true
		}
		for _, p := range s.Payments {
			addresses[p.Email] = true
		}
	}
	if want := map[string]bool{"jürgen@toepferei.example": true, "rosa@töpferei.example": true}; !cmp.Equal(addresses,
		want) {
		t.Errorf("addresses %v", addresses)
	}
	for _, s := range sets["times-in-milliseconds.json"] {
		for _, e := range s.Enrollments {
			if e.EnrolledAt == nil || !e.EnrolledAt.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s enrolled at %v", e.Person, e.EnrolledAt)
			}
		}
	}
	for _, s := range sets["cart-numeric-ids.json"] {
		for _, p := range s.Payments {
			if want := []Line{{Ref: "91501", Kind: "course"}, {Ref: "91502", Kind: "course"}}; !cmp.Equal(p.Named, want) {
				t.Errorf("named %+v", p.Named)
			}
		}
	}
}
