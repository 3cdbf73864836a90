package mail_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollcall/facts"
	storemail "rollcall/store/mail"
)

const consentFile = "\ufeffStore_ID,email,user_id,marketing,tracking,said_at,wording\n" +
	"s1,P1@x.example,,true,,2026-01-12T10:00:00Z,\"News, by email\"\n" +
	"s1,p2@x.example,,false,true,2026-01-12T10:00:00+01:00,News\n" +
	"s1,,user_1,true,,2026-01-12T10:00:00Z,News\n"

// onlyS1 knows one store.
func onlyS1(id string) error {
	if id != "s1" {
		return fmt.Errorf("there is no store %q", id)
	}
	return nil
}

// A file of consents becomes events; imported again, none are new.
func TestImportConsents(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	for _, want := range []int{3, 0} {
		events, err := storemail.ReadConsents(strings.NewReader(consentFile), monday, onlyS1)
		if err != nil {
			t.Fatal(err)
		}
		if added, err := r.ImportConsents(t.Context(), events, "a test"); err != nil || added != want {
			t.Errorf("added %d, want %d: %v", added, want, err)
		}
	}
	var ids []int64
	if err := s.Pool.QueryRow(t.Context(), `SELECT array_agg(id) FROM webhook_events`).Scan(&ids); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), ids, 0, facts.Read); err != nil {
		t.Fatal(err)
	}
	if one, two := consents(t, s, "p1@x.example"), consents(t, s, "p2@x.example"); one != "granted -" ||
		two != "denied granted" {
		t.Errorf("%q %q", one, two)
	}
}

// What is wrong is said line by line, and never names a person.
func TestWrongConsents(t *testing.T) {
	t.Parallel()
	const head = "store_id,email,marketing,said_at,wording\n"
	for file, want := range map[string][]string{
		"":   {"it is empty: the first line must have the names of the columns"},
		head: {"it has no lines behind the names of the columns"},
		head + "s2,a@x.example,true,2026-01-01T00:00:00Z,x": {`line 2: there is no store "s2"`},
		"store_id,mail\n":       {`column "mail" is unknown; known are ` + strings.Join(storemail.ConsentColumns, ", ")},
		head + "s1,a@x.example": {"line 2: wrong number of fields"},
		head + "s1,a@x.example,true,,x\ns1,x,true,2026-01-01T00:00:00Z,x\ns1,a@x.example,maybe,2026-01-01T00:00:00Z,x\n" +
			",a@x.example,true,2026-01-01T00:00:00Z,x\ns1,a@x.example,true,2026-01-01T00:00:00Z,\n" +
			"s1,a@x.example,true,2027-01-01T00:00:00Z,x\ns1,a@x.example,true,0001-01-01T00:00:00+23:59,x\n": {
			"line 2: said_at must be a time, as 2026-01-12T10:00:00Z",
			"line 3: user_id or a valid email is needed: email is no email address",
			`line 4: marketing must be true or false, got "maybe"`,
			"line 5: store_id must be 1 to 255 characters, got nothing",
			"line 6: wording is missing: what they agreed to is the proof",
			"line 7: said_at is in the future",
			"line 8: said_at must be a time, as 2026-01-12T10:00:00Z",
		},
	} {
		_, err := storemail.ReadConsents(strings.NewReader(file), monday, onlyS1)
		if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), want) {
			t.Errorf("%q: %v", file, err)
		}
	}
}
