package history

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/internal/testing/clerkfake"
	"rollcall/store"
)

func newClerk(t fataler, fake *clerkfake.Clerk) *Clerk {
	t.Helper()
	c, err := NewClerk(ClerkConfig{Key: clerkfake.Key, BaseURL: fake.URL, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

var signup = time.UnixMilli(1_700_000_000_000)

// people are n users who signed up in so many milliseconds.
func people(n, milliseconds int) (users []clerkfake.User) {
	for i := range n {
		at := signup.Add(time.Duration(i*milliseconds/n) * time.Millisecond)
		users = append(users, clerkfake.NewUser(fmt.Sprintf("user_%04d", i), fmt.Sprintf("p%d@x.example", i), at))
	}
	return users
}

func idOf(u clerkfake.User) string { return u["id"].(string) }

// once fails unless every one of the users was read, and none twice.
func once(t fataler, got map[string]int, users []clerkfake.User) {
	t.Helper()
	want := map[string]int{}
	for _, u := range users {
		want[idOf(u)] = 1
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%d places read for %d users: %v", len(got), len(users), got)
	}
}

// Every user comes once, however many share a millisecond, whatever the page
// holds and however created_at_after is meant.
func TestClerkEveryUserOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		fake := clerkfake.New(t)
		n := rapid.IntRange(0, 60).Draw(r, "users")
		users := people(n, rapid.IntRange(1, 30).Draw(r, "milliseconds"))
		fake.Add(users...)
		fake.Inclusive(rapid.Bool().Draw(r, "inclusive"))
		fake.Most(rapid.IntRange(2, 20).Draw(r, "most"))
		faults := []clerkfake.Fault{nil, clerkfake.TooMany("1"), clerkfake.TooMany(""),
			clerkfake.Status(http.StatusBadGateway), clerkfake.Cut, clerkfake.Short}
		for _, i := range rapid.SliceOf(rapid.IntRange(0, len(faults)-1)).Draw(r, "faults") {
			fake.Fail(faults[i])
		}
		run := readAll(r, newClerk(r, fake), rapid.IntRange(1, 20).Draw(r, "limit"), 0)
		once(r, run.seen(), users)
	})
}

// Users who come and go between pages cost nobody else their place.
func TestClerkChangesBetweenPages(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		fake := clerkfake.New(t)
		users := people(rapid.IntRange(1, 60).Draw(r, "users"), rapid.IntRange(1, 12).Draw(r, "milliseconds"))
		fake.Add(users...)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		gone, late := map[string]bool{}, 0
		fake.BeforeList(func(n int) {
			for range random.IntN(4) {
				u := users[random.IntN(len(users))]
				gone[idOf(u)] = true
				fake.Remove(idOf(u))
			}
			if late < 20 && random.IntN(2) == 0 {
				fake.Add(clerkfake.NewUser(fmt.Sprintf("user_late%d", late), "late@x.example",
					signup.Add(time.Hour+time.Duration(late)*time.Millisecond)))
				late++
			}
		})
		run := readAll(r, newClerk(r, fake), rapid.IntRange(1, 12).Draw(r, "limit"), 0)
		seen := run.seen()
		for _, u := range users {
			if n := seen[idOf(u)]; n > 1 || n == 0 && !gone[idOf(u)] {
				r.Fatalf("%s was read %d times", idOf(u), n)
			}
		}
		for place, n := range seen {
			if n != 1 || !strings.HasPrefix(place, "user_") {
				r.Fatalf("%s was read %d times", place, n)
			}
		}
	})
}

// A request that hangs is given up, and tried again.
func TestClerkHangs(t *testing.T) {
	fake := clerkfake.New(t)
	users := people(5, 5)
	fake.Add(users...)
	fake.Fail(clerkfake.Hang, nil, clerkfake.Hang)
	run := readAll(t, newClerk(t, fake), 3, 0)
	once(t, run.seen(), users)
	if run.tries != 2 {
		t.Errorf("%d tries again", run.tries)
	}
}

// The figures: what is expected at first, and in the end.
func TestClerkExpected(t *testing.T) {
	fake := clerkfake.New(t)
	users := people(7, 3)
	fake.Add(users...)
	c := newClerk(t, fake)
	plan, err := c.Read(t.Context(), store.Position{}, 500)
	if err != nil || *plan.Expected != 7 || len(plan.Items) != 0 || len(plan.Next) != 1 {
		t.Fatalf("%+v %v", plan, err)
	}
	fake.Add(clerkfake.NewUser("user_new", "new@x.example", signup.Add(time.Hour)))
	fake.Remove("user_0000")
	var last store.Page
	items := 0
	for next := plan.Next; len(next) > 0; next = last.Next {
		if last, err = c.Read(t.Context(), next[0], 500); err != nil {
			t.Fatal(err)
		}
		items += len(last.Items)
	}
	if items != 7 || last.Expected == nil || *last.Expected != 7 {
		t.Errorf("%d items, %+v", items, last)
	}
}

// A list that leaves out users who are counted is told.
func TestClerkShortList(t *testing.T) {
	fake := clerkfake.New(t)
	fake.Add(people(9, 9)...)
	fake.BeforeList(func(n int) {
		if n > 1 { // behind the reader's back
			fake.Add(clerkfake.NewUser(fmt.Sprintf("user_old%d", n), "old@x.example", signup))
		}
	})
	run := readAll(t, newClerk(t, fake), 500, 0)
	last := run.items[len(run.items)-1]
	if last.Err == nil || !strings.Contains(last.Err.Error(), "start the backfill again") {
		t.Errorf("%+v", last)
	}
}

// One user who cannot be read costs nobody else.
func TestClerkOddUsers(t *testing.T) {
	fake := clerkfake.New(t)
	users := people(6, 2)
	fake.Add(users...)
	fake.Garble("user_0001", `{"id":"user_0001","created_at":"yesterday","first_name":{}}`)
	fake.Garble("user_0002", `{"object":"user"}`)
	fake.Garble("user_0004", `[1]`)
	run := readAll(t, newClerk(t, fake), 2, 0)
	var read, bad []string
	for _, item := range run.items {
		if item.Err != nil {
			bad = append(bad, item.Err.Error())
			continue
		}
		read = append(read, item.Facts.Users[0].ID)
	}
	slices.Sort(read)
	if want := []string{"user_0000", "user_0001", "user_0003", "user_0005"}; !slices.Equal(read, want) || len(bad) != 2 {
		t.Errorf("read %v, errors %v", read, bad)
	}
}

// What no further try can cure says what to do, and never tells the key.
func TestClerkErrors(t *testing.T) {
	fake := clerkfake.New(t)
	if _, err := NewClerk(ClerkConfig{BaseURL: fake.URL}); !isRefused(err, "CLERK_SECRET_KEY is not set") {
		t.Errorf("no key: %v", err)
	}
	wrong, err := NewClerk(ClerkConfig{Key: "sk_live_wrong", BaseURL: fake.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Read(t.Context(), store.Position{}, 500); !isRefused(err, "CLERK_SECRET_KEY (401)") ||
		strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong key: %v", err)
	}
	for _, c := range []struct {
		fault clerkfake.Fault
		want  string // of a refusal; else an error to try again after
		after time.Duration
	}{
		{clerkfake.Status(403), "CLERK_SECRET_KEY (403)", 0},
		{clerkfake.Status(404), "is CLERK_API_BASE right?", 0},
		{clerkfake.TooMany("17"), "", 17 * time.Second},
		{clerkfake.TooMany(""), "", 10 * time.Second},
		{clerkfake.Status(500), "", 0},
		{clerkfake.Cut, "", 0},
		{clerkfake.Hang, "", 0},
	} {
		fake.Fail(c.fault)
		_, err := newClerk(t, fake).Read(t.Context(), store.Position{}, 500)
		var later *Later
		switch {
		case err == nil:
			t.Errorf("%+v: no error", c)
		case c.want != "":
			if !isRefused(err, c.want) {
				t.Errorf("%q: %v", c.want, err)
			}
		case isRefused(err, ""):
			t.Errorf("refused: %v", err)
		case errors.As(err, &later) != (c.after > 0) || later != nil && later.After != c.after:
			t.Errorf("%v: %v", c.after, err)
		}
	}
}

func isRefused(err error, with string) bool {
	var refused *Refused
	return errors.As(err, &refused) && strings.Contains(refused.Reason, with)
}
