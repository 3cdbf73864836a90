package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

func makeToken(t *testing.T, s *store.Store, n customers.NewToken) customers.MadeToken {
	t.Helper()
	made, err := customers.New(s).CreateToken(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Of a token only its hash is kept.
func TestTokenIsKeptAsHash(t *testing.T) {
	s, url := openURL(t)
	a, b := makeToken(t, s, customers.NewToken{Store: "s1", Name: "export"}),
		makeToken(t, s, customers.NewToken{Store: "s1"})
	if form := regexp.MustCompile(`^rc_[a-z2-7]{40}$`); !form.MatchString(a.Secret) || a.Secret == b.Secret {
		t.Errorf("%q, %q", a.Secret, b.Secret)
	}
	rows := query(t, url, `SELECT store_tokens::text FROM store_tokens ORDER BY id`)
	hash := sha256.Sum256([]byte(a.Secret))
	if len(rows) != 2 || strings.Contains(rows[0], a.Secret[3:]) ||
		!strings.Contains(rows[0], hex.EncodeToString(hash[:])) {
		t.Errorf("%q", rows)
	}
	got, err := customers.New(s).UseToken(t.Context(), a.Secret, time.Now())
	if err != nil || got.ID != a.ID || got.StoreID != "s1" || got.Name != "export" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestTokenThatNeverWas(t *testing.T) {
	s := open(t)
	made := makeToken(t, s, customers.NewToken{Store: "s1"}).Secret
	for _, secret := range []string{"", "rc_", made[:len(made)-1], made + "x", " " + made, strings.ToUpper(made),
		made[3:], "rc_\x00", "x"} {
		if got, err := customers.New(s).UseToken(t.Context(), secret, time.Now()); !errors.Is(err, pg.ErrNotFound) ||
			strings.Contains(fmt.Sprint(err), made[3:]) {
			t.Errorf("%q: %+v %v", secret, got, err)
		}
	}
}

func TestTokenStates(t *testing.T) {
	s := open(t)
	now := time.Now()
	soon := now.Add(time.Hour).Truncate(time.Second)
	ends, never := makeToken(t, s, customers.NewToken{Store: "s1", Expires: &soon}),
		makeToken(t, s, customers.NewToken{Store: "s1"})
	state := func(m customers.MadeToken, at time.Time) string {
		t.Helper()
		got, err := customers.New(s).UseToken(t.Context(), m.Secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return got.State(at)
	}
	for at, want := range map[time.Time]string{now: "active", soon.Add(-time.Nanosecond): "active", soon: "expired",
		soon.Add(time.Hour): "expired"} {
		if got := state(ends, at); got != want {
			t.Errorf("at %v: %s, want %s", at, got, want)
		}
	}
	if got := state(never, now.AddDate(100, 0, 0)); got != "active" {
		t.Error(got)
	}
	first, err := customers.New(s).RevokeToken(t.Context(), never.ID)
	if err != nil || first.RevokedAt == nil || state(never, now) != "revoked" {
		t.Errorf("%+v %v", first, err)
	}
	if again, err := customers.New(s).RevokeToken(t.Context(), never.ID); err != nil ||
		!again.RevokedAt.Equal(*first.RevokedAt) {
		t.Errorf("%+v %v", again, err)
	}
	if _, err := customers.New(s).RevokeToken(t.Context(), 99); !errors.Is(err, pg.ErrNotFound) {
		t.Error(err)
	}
}

// The last use is written once a minute at most, and not of a token that is no good.
func TestTokenLastUse(t *testing.T) {
	s, url := openURL(t)
	made := makeToken(t, s, customers.NewToken{Store: "s1"})
	row := func() string { return query(t, url, `SELECT xmin::text || ' ' || ctid::text FROM store_tokens`)[0] }
	noon := time.Date(2027, 1, 12, 12, 0, 0, 0, time.UTC)
	use := func(at time.Time, writes bool) {
		t.Helper()
		before := row()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := customers.New(s).UseToken(t.Context(), made.Secret, at); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wrote := row() != before; wrote != writes {
			t.Errorf("at %v: written %v", at, wrote)
		}
	}
	use(noon, true)
	use(noon.Add(time.Minute-time.Second), false)
	use(noon.Add(time.Minute), true)
	use(noon, false) // another server's clock is behind
	all, err := customers.New(s).Tokens(t.Context(), "")
	if err != nil || len(all) != 1 || !all[0].LastUsedAt.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := customers.New(s).RevokeToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	use(noon.Add(time.Hour), false)
}

func TestTokensList(t *testing.T) {
	s, url := openURL(t)
	for _, id := range []string{"s1", "s2", "s1"} {
		makeToken(t, s, customers.NewToken{Store: id})
	}
	for id, want := range map[string][]int64{"": {1, 2, 3}, "s1": {1, 3}, "none": nil, "\x00": nil} {
		tokens, err := customers.New(s).Tokens(t.Context(), id)
		var got []int64
		for _, token := range tokens {
			got = append(got, token.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v %v", id, got, err)
		}
	}
	if makeToken(t, s, customers.NewToken{Store: "s3"}).Known {
		t.Error("nobody told us of s3")
	}
	exec(t, url, `INSERT INTO stores (id, version) VALUES ('s3', 'v')`)
	exec(t, url, `INSERT INTO customers (store_id, email) VALUES ('s4', 'a@x.example')`)
	for _, id := range []string{"s3", "s4"} {
		if !makeToken(t, s, customers.NewToken{Store: id}).Known {
			t.Errorf("%s is known", id)
		}
	}
}

func TestTokenThatCannotBe(t *testing.T) {
	s := open(t)
	past := time.Now().Add(-time.Second)
	for want, n := range map[string]customers.NewToken{
		"store: ":   {},
		"store: m":  {Store: " s1"},
		"store: mu": {Store: "s\x00"},
		"name: ":    {Store: "s1", Name: strings.Repeat("x", 201)},
		"name: m":   {Store: "s1", Name: "\xff"},
		"expires: ": {Store: "s1", Expires: &past},
	} {
		_, err := customers.New(s).CreateToken(t.Context(), n)
		var bad *pg.BadParam
		if !errors.As(err, &bad) || !strings.HasPrefix(bad.Error(), want) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
