package history

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollcall/store"
)

// passedOver counts what of a table was passed over, by the reason.
func passedOver(items []store.Item) (out []string) {
	counts := map[string]int{}
	for _, i := range items {
		table, _, _ := strings.Cut(i.Place, ",")
		for _, why := range i.Passed {
			counts[table+" "+why]++
		}
	}
	for what, n := range counts {
		out = append(out, fmt.Sprint(n, " ", what))
	}
	slices.Sort(out)
	return out
}

// Exports as other apps and editors make them. Each is a case of testdata.
func TestConvexCases(t *testing.T) {
	for name, want := range map[string]struct{ said, passed []string }{
		"convex-amount": {[]string{
			`user user_c211 u1@c21.example "User 1"`, `store k_st21 "Old store" of user_owner21`,
			`course k_c21 "Old course" in k_st21 for 2000 usd deleted false`,
			"user:user_c211 in k_c21 at -1 since 00:00:00.004",
			"payment pi_c21 7840 usd of user_c211 for course k_c21 in k_st21",
		}, nil},
		"convex-silent-skips": {[]string{
			`user user_c22 u1@c22.example "Una One"`, `store k_st22 "Old store" of user_owner22`,
			`course k_c22 "Old course" in k_st22 for 2000 usd deleted false`,
			"user:user_c22 in k_c22 at 10 since 00:00:00.003", "user:user_c22 in k_c22 at -1 since 00:00:00.004",
			"payment cs_c22 1999 usd of user_c22 for course k_c22 in ",
		}, nil},
		"convex-bom": {[]string{
			`user user_c231 u1@c23.example "User 1"`, `user user_c232 u2@c23.example "User 2"`,
			`store k_st23 "Old store" of user_owner23`,
			`course k_c23 "Old course" in k_st23 for 2000 usd deleted false`, "user:user_c231 in k_c23 at 10 since 00:00:00.003",
			"user:user_c232 in k_c23 at 10 since 00:00:00.003",
		}, nil},
	} {
		items, notes := imported(t, filepath.Join("testdata", "cases", name+".zip"), 1, true)
		var got []string
		for _, i := range items {
			if i.Err != nil {
				t.Errorf("%s: %v", name, i.Err)
			}
			got = append(got, said(i.Facts)...)
		}
		if !slices.Equal(got, want.said) || len(notes) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(got, "\n"))
		}
		if passed := passedOver(items); !slices.Equal(passed, want.passed) {
			t.Errorf("%s: passed over %q", name, passed)
		}
	}
}

// Users that are named by their documents are found, wherever reading goes on;
// damage to their table is told once.
func TestConvexNamedByDocument(t *testing.T) {
	path := zipped(t,
		entry{"users/documents.jsonl", "\ufeff" + `{"_id":"k1","clerkId":"user_1"}` + "\nnot json\n" +
			`{"_id":"k2","email":"B@x.example"}` + "\n"},
		entry{"enrollments/documents.jsonl", `{"_id":"e1","_creationTime":1.0,"courseId":"c","userId":"k1"}` + "\n" +
			`{"_id":"e2","_creationTime":1.0,"courseId":"c","userId":"k2"}` + "\n" +
			`{"_id":"e3","_creationTime":1.0,"courseId":"c","userId":"k3"}`})
	for _, limit := range []int{1, 10} {
		items, _ := imported(t, path, limit, limit == 1)
		var got []string
		for _, i := range items {
			for _, e := range i.Facts.Enrollments {
				got = append(got, e.Person)
			}
		}
		if !slices.Equal(got, []string{"user:user_1", "email:b@x.example", "user:k3"}) {
			t.Errorf("%q", got)
		}
		if passed := passedOver(items); !slices.Equal(passed,
			[]string{"1 users without a Clerk id (clerkId, externalId or tokenIdentifier)"}) {
			t.Errorf("%q", passed)
		}
	}
}

// Zips that were packed again on Windows have backslashes in their names.
func TestConvexBackslashes(t *testing.T) {
	items, _ := imported(t, zipped(t, entry{`snapshot_1\users\documents.jsonl`, userLines(2)},
		entry{`snapshot_1\stores\documents.jsonl`, `{"_id":"s"}`}), 10, false)
	if got := places(items); !slices.Equal(got, []string{"users, line 1", "users, line 2", "stores, line 1"}) {
		t.Errorf("%q", got)
	}
}
