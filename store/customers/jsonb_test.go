package customers

import (
	"encoding/json"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
)

// A list is read as encoding/json reads it, whatever its texts hold, members that are
// not known included.
func TestListsAreReadAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		readAsJSON(t, "courses", memberOfCourse, course)
		readAsJSON(t, "purchases", memberOfPurchase, purchase)
		readAsJSON(t, "subscriptions", memberOfSubscription, subscribed)
		readAsJSON(t, "money", memberOfMoney, rapid.Custom(func(t *rapid.T) store.Money {
			return store.Money{Amount: rapid.Int64().Draw(t, "amount"), Currency: word.Draw(t, "currency")}
		}))
	})
}

var (
	word    = rapid.String()
	maybe   = rapid.Ptr(word, true)
	number  = rapid.Ptr(rapid.Int64(), true)
	instant = rapid.Ptr(rapid.Map(rapid.Int64Range(0, 4e9), func(s int64) time.Time {
		return time.Unix(s, 0).UTC()
	}), true)

	course = rapid.Custom(func(t *rapid.T) Course {
		return Course{ID: word.Draw(t, "id"), Progress: rapid.Float64Range(0, 100).Draw(t, "progress"),
			EnrolledAt: instant.Draw(t, "enrolled"), CompletedAt: instant.Draw(t, "completed")}
	})
	purchase = rapid.Custom(func(t *rapid.T) Purchase {
		return Purchase{ProductID: maybe.Draw(t, "product"), Kind: word.Draw(t, "kind"),
			Amount: rapid.Int64().Draw(t, "amount"), Currency: word.Draw(t, "currency"),
			Refunded: rapid.Int64().Draw(t, "refunded"), PurchasedAt: instant.Draw(t, "at"),
			Lines: rapid.SliceOfN(line, 0, 2).Draw(t, "lines")}
	})
	line = rapid.Custom(func(t *rapid.T) SaleLine {
		return SaleLine{ProductID: maybe.Draw(t, "product"), Kind: word.Draw(t, "kind"), Amount: number.Draw(t, "amount")}
	})
	subscribed = rapid.Custom(func(t *rapid.T) listedSubscription {
		return listedSubscription{Subscription{ID: word.Draw(t, "id"), Status: word.Draw(t, "status"),
			Plan:   maybe.Draw(t, "plan"),
			Amount: number.Draw(t, "amount"), Currency: maybe.Draw(t, "currency"), CurrentPeriodEnd: instant.Draw(t, "end")},
			maybe.Draw(t, "product"), rapid.SliceOfN(word, 0, 2).Draw(t, "products")}
	})
)

func readAsJSON[T any](t *rapid.T, of string, member func(*T, []byte) any, gen *rapid.Generator[T]) {
	all := rapid.SliceOfN(gen, 0, 3).Draw(t, of)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []T
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := (listOf[T]{&got, member}).ScanBytes(text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(listedSubscription{})); diff != "" {
		t.Fatalf("%s: -want +got\n%s", text, diff)
	}
}
