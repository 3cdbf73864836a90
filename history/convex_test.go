package history

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store"
)

const sample = "../testdata/fixtures/convex/sample-snapshot.zip"

// sameItems compares items, whose unexported parts are the store's.
var sameItems = cmp.Options{cmpopts.IgnoreUnexported(store.Item{}), cmpopts.EquateErrors(),
	cmp.Comparer(func(a, b error) bool {
		return fmt.Sprint(a) == fmt.Sprint(b)
	})}

// said tells in short what a set says.
func said(s facts.Set) (out []string) {
	for _, f := range s.Users {
		out = append(out, fmt.Sprintf("user %s %s %q", f.ID, f.Email, f.Name))
	}
	for _, f := range s.Stores {
		out = append(out, fmt.Sprintf("store %s %q of %s", f.ID, f.Name, f.OwnerUserID))
	}
	for _, f := range s.Products {
		out = append(out, fmt.Sprintf("%s %s %q in %s for %d %s deleted %v", f.Kind, f.ID, f.Title, f.StoreRef,
			*f.PriceAmount, f.PriceCurrency, f.DeletedVersion != ""))
	}
	for _, f := range s.Enrollments {
		progress := -1.0
		if f.Progress != nil {
			progress = *f.Progress
		}
		out = append(out, fmt.Sprintf("%s in %s at %v since %s", f.Person, f.CourseID, progress,
			f.EnrolledAt.Format("15:04:05.000")))
	}
	for _, f := range s.Payments {
		out = append(out, fmt.Sprintf("payment %s %d %s of %s for %s %s in %s", f.ID, *f.Amount, f.Currency, f.UserRef,
			f.ProductKind, f.ProductRef, f.StoreRef))
	}
	for _, f := range s.Subscriptions {
		out = append(out, fmt.Sprintf("subscription %s %s of %s to %s in %s", f.ID, f.Status, f.UserRef, f.ProductRef,
			f.StoreRef))
	}
	for _, f := range s.StripeCustomers {
		out = append(out, fmt.Sprintf("customer %s %s %q", f.ID, f.Email, f.Name))
	}
	return out
}

// The sample line by line, with all its traps.
func TestConvexSample(t *testing.T) {
	const (
		ava, jonas, old, owner = "user_2AvaLindqvist0000000000001", "user_2JonasBerg000000000000009",
			"user_2NoEmailOldUser000000000013", "user_2OwnerAurora000000000008"
		aurora                  = "k57aurorastore00000000000000000a"
		mixing, free, mastering = "jd7mixingbasics0000000000000001", "jd7freestarter00000000000000002",
			"jd7mastering00000000000000004"
		bundle = "k97bundleaurora000000000000001"
	)
	want := []string{
		"users, line 1: user " + ava + ` ava.lindqvist@example.com "Ava Lindqvist"`,
		"users, line 2: user " + jonas + ` jonas.berg@example.se ""`,
		"users, line 3: user " + old + `  "User"`,
		"users, line 4: user " + owner + ` owner@aurora.example.com "Olga Aurora"`,
		"stores, line 1: store " + aurora + ` "Aurora Learning" of ` + owner,
		"courses, line 1: course " + mixing + ` "Mixing Basics" in ` + aurora + " for 1999 usd deleted false",
		"courses, line 2: course " + free + ` "Free Starter" in ` + owner + " for 0 usd deleted false",
		"courses, line 3: course " + mastering + ` "Mastering" in ` + aurora + " for 6000 usd deleted true",
		"enrollments, line 1: user:" + ava + " in " + mixing + " at 35.5 since 10:00:05.001",
		"enrollments, line 2: user:" + jonas + " in " + mastering + " at 0 since 10:00:07.001",
		"purchases, line 1: user:" + ava + " in " + mixing +
			" at -1 since 10:00:05.000; payment pi_3AvaOldOrder0001 1998 usd of " + ava + " for course " + mixing + " in " +
			aurora,
		"purchases, line 2: user:" + ava + " in " + free + " at -1 since 10:00:06.001",
		"purchases, line 3: payment pi_3JonasOldBundle1 7900 usd of " + jonas + " for bundle " + bundle + " in " + aurora,
		"purchases, line 4: user:" + jonas + " in " + mastering + " at -1 since 10:00:07.001",
		"purchases, line 5: user:" + old + " in " + mixing +
			" at -1 since 10:00:08.000; payment pi_3OldUserOrder001 1998 usd of " + old + " for course " + mixing + " in " +
			aurora,
		"membershipSubscriptions, line 1: subscription sub_1KiraOldPlan001 active of user_2KiraSato0000000000000010 to " +
			"kp7plan000000000000000000000001 in " + aurora,
		`customers, line 1: customer k57customer0000000000000000000001 ava.lindqvist@example.com "Ava Lindqvist"; was 1998`,
		`customers, line 2: customer k57customer0000000000000000000002 ava.lindqvist@example.com "Ava L"; was 0`,
		"customers, line 3: ",
		"webhookEvents, line 1: ",
	}
	items, notes := imported(t, sample, 3, false)
	var got []string
	for _, i := range items {
		text := i.Place + ": " + strings.Join(said(i.Facts), "; ")
		if i.Old != nil {
			text += fmt.Sprintf("; was %d", *i.Old.Spent)
		}
		if i.Err != nil {
			text += i.Err.Error()
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(notes) != 1 || notes[0].What != "evt_1OldFailedEvent00001 (checkout.session.completed)" ||
		!strings.Contains(notes[0].Why, "You already have access") {
		t.Errorf("%+v", notes)
	}
}

// Going on anywhere with the file opened anew gives what one pass gives.
func TestConvexResume(t *testing.T) {
	whole, wholeNotes := imported(t, sample, 1000, false)
	rapid.Check(t, func(r *rapid.T) {
		items, notes := imported(t, sample, rapid.IntRange(1, 6).Draw(r, "limit"), rapid.Bool().Draw(r, "afresh"))
		if diff := cmp.Diff(whole, items, sameItems) + cmp.Diff(wholeNotes, notes); diff != "" {
			r.Fatal(diff)
		}
	})
}

// A page can be read again, after others.
func TestConvexReadsAgain(t *testing.T) {
	c := newConvex(t, zipped(t, entry{"users/documents.jsonl", userLines(9)}))
	plan, err := c.Read(t.Context(), store.Position{}, 4)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := c.Read(t.Context(), plan.Next[0], 4)
	second, _ := c.Read(t.Context(), first.Next[0], 4)
	again, err := c.Read(t.Context(), plan.Next[0], 4)
	if diff := cmp.Diff(first, again, sameItems, cmpopts.IgnoreUnexported(store.Page{})); diff != "" || err != nil ||
		len(second.Items) != 4 {
		t.Error(diff, err, places(second.Items))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Read(cancelled, first.Next[0], 4); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if after, err := c.Read(t.Context(), first.Next[0], 4); err != nil ||
		!slices.Equal(places(after.Items), places(second.Items)) {
		t.Errorf("after a cancelled read: %v %v", places(after.Items), err)
	}
}

// Files that are no exports say what was found and what to do.
func TestConvexRefuses(t *testing.T) {
	good, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	users := entry{"users/documents.jsonl", userLines(1)}
	for name, c := range map[string]struct{ path, want string }{
		"no file":       {filepath.Join(t.TempDir(), "none.zip"), "no such file"},
		"a folder":      {t.TempDir(), "is a folder"},
		"empty":         {kept(t, nil), "is empty"},
		"not a zip":     {kept(t, []byte("{\"_id\":1}\n")), "is no zip file"},
		"cut short":     {kept(t, good[:len(good)/2]), "is cut short"},
		"nothing in it": {zipped(t), "found: nothing"},
		"other tables":  {zipped(t, entry{"boats/documents.jsonl", "{}"}), "found: boats/documents.jsonl"},
		"components":    {zipped(t, entry{"_components/a/users/documents.jsonl", "{}"}), "none of the tables"},
		"table twice":   {zipped(t, users, users), "holds the table users twice"},
		"two exports": {zipped(t, entry{"a/users/documents.jsonl", "{}"}, entry{"b/users/documents.jsonl", "{}"}),
			"twice (a/users"},
		"parts of two": {zipped(t, entry{"a/users/documents.jsonl", "{}"}, entry{"stores/documents.jsonl", "{}"}),
			"several exports, in / and a/"},
		"strange method": {method(t, 93), "method 93"},
		"a bomb":         {bomb(t), "which no export does"},
	} {
		_, err := newConvex(t, c.path).Read(t.Context(), store.Position{}, 10)
		if !isRefused(err, c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v, want %q and the path", name, err, c.want)
		}
	}
}

// method is an export packed in a way that cannot be read.
func method(t *testing.T, number uint16) string {
	return raw(t, zip.FileHeader{Name: "users/documents.jsonl", Method: number}, []byte("x"))
}

// bomb is an export that says it unpacks to a thousand times its size.
func bomb(t *testing.T) string {
	return raw(t, zip.FileHeader{Name: "users/documents.jsonl", Method: zip.Deflate, CompressedSize64: 2 << 20,
		UncompressedSize64: 2 << 30}, make([]byte, 2<<20))
}

func raw(t *testing.T, h zip.FileHeader, data []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if h.CompressedSize64 == 0 {
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(len(data))
	}
	f, err := w.CreateRaw(&h)
	if err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return kept(t, out.Bytes())
}

// A run goes on only in the file it began with.
func TestConvexFileReplaced(t *testing.T) {
	path := zipped(t, entry{"users/documents.jsonl", userLines(5)})
	plan, err := newConvex(t, path).Read(t.Context(), store.Position{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(zipped(t, entry{"users/documents.jsonl", userLines(6)}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newConvex(t, path).Read(t.Context(), plan.Next[0], 2); !isRefused(err, "is not the file any more") {
		t.Error(err)
	}
}

// A folder around it all is fine; tables come in their own order; what is not
// imported is noted.
func TestConvexLayout(t *testing.T) {
	items, notes := imported(t, zipped(t,
		entry{"snapshot_1/purchases/documents.jsonl", `{"_id":"p","status":"pending"}`},
		entry{"snapshot_1/README.md", "# Hello"},
		entry{"snapshot_1/_tables/documents.jsonl", `{"id":1,"name":"users"}`},
		entry{"snapshot_1/_storage/documents.jsonl", `{}`},
		entry{"snapshot_1/_components/mail/users/documents.jsonl", `{}`},
		entry{"snapshot_1/leadSubmissions/documents.jsonl", `{}`},
		entry{"snapshot_1/boats/documents.jsonl", `{}`},
		entry{"snapshot_1/emailContacts/documents.jsonl", ``},
		entry{"snapshot_1/stores/documents.jsonl", ""},
		entry{"snapshot_1/users/documents.jsonl", userLines(1)},
	), 10, false)
	if got := places(items); !slices.Equal(got, []string{"users, line 1", "purchases, line 1"}) {
		t.Errorf("%q", got)
	}
	var why []string
	for _, n := range notes {
		why = append(why, n.Why)
	}
	if want := []string{"table boats is not imported: a table of this name is not needed",
		"table leadSubmissions is not imported: a filled-in form makes no customer"}; !slices.Equal(why, want) {
		t.Errorf("%q", why)
	}
}

// Bad lines cost themselves alone.
func TestConvexBadLines(t *testing.T) {
	user := func(id string) string { return `{"_id":"` + id + `","clerkId":"` + id + `"}` }
	long := `{"_id":"` + strings.Repeat("x", maxLine) + `"}`
	just := user("b")
	just += strings.Repeat(" ", maxLine-len(just))
	lines := strings.Join([]string{user("a"), "", "  \r", just, long, `{"_id":`, long[:len(long)-30], user("c") + "\r",
		`{"clerkId":"d"}`, user("e")}, "\n")
	for _, limit := range []int{1, 2, 100} {
		items, _ := imported(t,
			zipped(t, entry{"users/documents.jsonl", lines}, entry{"stores/documents.jsonl", `{"_id":"s"}`}), limit, limit == 2)
		want := []string{
			"users, line 1", "users, line 4", "users, line 5: line 5 of users is longer than 16 MiB",
			"users, line 6: line 6 of users: unexpected end of JSON input",
			"users, line 7: line 7 of users: unexpected end of JSON input",
			"users, line 8", "users, line 9: line 9 of users: _id is missing, or longer than 255 characters", "users, line 10",
			"stores, line 1",
		}
		if diff := cmp.Diff(want, places(items)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
}
