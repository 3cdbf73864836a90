package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func convex(t *testing.T, table, line string) ConvexRow {
	t.Helper()
	row, err := NewConvexExport(noon).Read(table, []byte(line))
	if err != nil {
		t.Fatalf("%s %s: %v", table, line, err)
	}
	return row
}

// Whatever an export says loses against what the sources say, and wins against
// an earlier export.
func TestConvexVersions(t *testing.T) {
	line := []byte(
		`{"_id":"k1","clerkId":"user_1","courseId":"c","userId":"u","_creationTime":1.0,"amount":1,"status":"completed"}`)
	old, late := NewConvexExport(noon), NewConvexExport(noon.AddDate(1, 0, 0))
	a, _ := old.Read("users", line)
	b, _ := late.Read("users", line)
	if a, b := a.Facts.Users[0].Version,
		b.Facts.Users[0].Version; !("" < a && a < b && b < version(time.Unix(1, 0), rankCreated, "")) {
		t.Errorf("%q %q", a, b)
	}
	a, _ = old.Read("purchases", line)
	b, _ = late.Read("purchases", line)
	if a, b := a.Facts.Payments[0].ClaimVersion, b.Facts.Payments[0].ClaimVersion; !("" < a && a < b &&
		b < claim(claimUnpaid, version(time.Unix(1, 0), rankCreated, ""))) {
		t.Errorf("%q %q", a, b)
	}
	enrolled, _ := old.Read("enrollments", line)
	if a, b := a.Facts.Enrollments[0].Version, enrolled.Facts.Enrollments[0].Version; a >= b {
		t.Errorf("a purchase's word about an enrollment %q beats the enrollment's %q", a, b)
	}
}

// Both formats of numbers say the same.
func TestConvexNumberFormats(t *testing.T) {
	want := convex(t, "purchases",
		`{"_id":"k1","_creationTime":1765620005000.75,"userId":"u","productId":"p","amount":1998,"status":"completed",`+
			`"transactionId":"pi_1"}`)
	for _, amount := range []string{`1998.0`, `"1998"`, `"1998.0"`, `1.998e3`, `19980e-1`} {
		got := convex(t, "purchases", `{"_id":"k1","_creationTime":"1765620005000.75","userId":"u","productId":"p","amount":`+
			amount+`,"status":"completed","transactionId":"pi_1"}`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", amount, diff)
		}
	}
	p := want.Facts.Payments[0]
	if *p.Amount != 1998 || p.Currency != "usd" || p.ID != "pi_1" || !p.PaidAt.Equal(time.UnixMicro(1765620005000750)) {
		t.Errorf("%+v", p)
	}
}

// Prices are in major units, and their currency says what that is in minor ones.
func TestConvexPrices(t *testing.T) {
	for _, c := range []struct {
		price, currency string
		want            int64
	}{
		{"19.99", "", 1999}, {"4.35", "usd", 435}, {"8.2", "EUR", 820}, {"0.0", "", 0}, {"60", "", 6000}, {`"60"`, "", 6000},
		{"5800.0", "JPY", 5800}, {"1.5", "kwd", 1500}, {"0.30000000000000004", "", 30}, {"1e2", "", 10000},
		{"19.999", "", 2000},
		{"500", "ISK", 50000}, {"500", "UGX", 50000}, {"500", "ALL", 50000}, {"500", "IDR", 50000}, {"500", "RSD", 50000},
		{"500", "COP", 50000}, {"500", "LAK", 50000}, {"500", "MMK", 50000}, {"500", "KPW", 50000},
		{"500", "krw", 500}, {"500.5", "xpf", 501}, {"500", "TND", 500000}, {"0.0015", "bhd", 2}, {"1e-999", "", 0},
	} {
		p := convex(t, "courses", fmt.Sprintf(`{"_id":"c","price":%s,"currency":%q}`, c.price, c.currency)).Facts.Products[0]
		if p.PriceAmount == nil || *p.PriceAmount != c.want {
			t.Errorf("%s %s: %v, want %d", c.price, c.currency, p.PriceAmount, c.want)
		}
	}
	if p := convex(t, "courses", `{"_id":"c","price":null}`).Facts.Products[0]; p.PriceAmount != nil {
		t.Errorf("no price: %d", *p.PriceAmount)
	}
}

// What each kind of purchase comes to: payment's id, enrollment, refund.
func TestConvexPurchases(t *testing.T) {
	for _, c := range []struct{ name, fields, payment, product, enrolled, refund string }{
		{"course", `"amount":1998.0,"courseId":"c","transactionId":"pi_1","productType":"course","status":"completed"`,
			"pi_1", "course c", "c", ""},
		{"course without transaction", `"amount":5,"courseId":"c","status":"completed"`, "k1", "course c", "c", ""},
		{"free course", `"amount":0.0,"courseId":"c","productType":"course","status":"completed"`, "", "", "c", ""},
		{"bundle", `"amount":7900,"bundleId":"b","transactionId":"pi_2","productType":"bundle","status":"completed"`,
			"pi_2", "bundle b", "", ""},
		{"bundle's course", `"amount":0,"bundleId":"b","courseId":"c","transactionId":"pi_2","productType":"course",` +
			`"status":"completed"`, "", "", "c", ""},
		{"bundle's product", `"amount":0,"bundleId":"b","productId":"p","transactionId":"pi_2",` +
			`"productType":"digitalProduct","status":"completed"`, "", "", "", ""},
		{"free product", `"amount":0,"productId":"p","productType":"digitalProduct","status":"completed"`, "k1", "digital p",
			"", ""},
		{"coaching", `"amount":9,"productId":"p","productType":"coaching","transactionId":"pi_3","status":"completed"`,
			"pi_3", "coaching p", "", ""},
		{"refunded", `"amount":1998,"courseId":"c","transactionId":"pi_1","status":"refunded"`, "pi_1", "course c", "c",
			"convex:k1 pi_1 1998"},
		{"pending", `"amount":1998,"courseId":"c","transactionId":"pi_1","status":"pending"`, "", "", "", ""},
	} {
		set := convex(t, "purchases", `{"_id":"k1","_creationTime":1765620005000.0,"userId":"u","storeId":"s",`+c.fields+
			`}`).Facts
		var payment, product, enrolled, refund string
		for _, p := range set.Payments {
			payment, product = p.ID, p.ProductKind+" "+p.ProductRef
			if p.StoreRef != "s" || p.UserRef != "u" || !p.Paid {
				t.Errorf("%s: %+v", c.name, p)
			}
		}
		for _, e := range set.Enrollments {
			enrolled = e.CourseID
			if e.Person != "user:u" || e.StoreRef != "s" || e.EnrolledAt == nil {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
		for _, r := range set.Refunds {
			refund = fmt.Sprintf("%s %s %d", r.ID, r.PaymentIntent, r.Amount)
		}
		got := []string{payment, product, enrolled, refund}
		if want := []string{c.payment, c.product, c.enrolled, c.refund}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

func TestConvexRefunds(t *testing.T) {
	row := convex(t, "refunds",
		`{"_id":"r1","orderId":"pi_1","refundAmount":500.0,"status":"completed","stripeRefundId":"re_1"}`)
	if r := row.Facts.Refunds[0]; r.ID != "re_1" || r.PaymentIntent != "pi_1" || r.Amount != 500 || r.Currency != "usd" {
		t.Errorf("%+v", r)
	}
	for line, why := range map[string]string{
		`{"_id":"r1","orderId":"pi_1","refundAmount":5,"status":"requested"}`: "not carried out",
		`{"_id":"r1","refundAmount":5,"status":"completed"}`:                  "without an orderId",
	} {
		if row := convex(t, "refunds", line); !cmp.Equal(row, ConvexRow{Passed: []string{why}}) {
			t.Errorf("%s: %+v", line, row)
		}
	}
}

func TestConvexSubscriptions(t *testing.T) {
	stripe := convex(t, "membershipSubscriptions",
		`{"_id":"m1","_creationTime":1765620009000.5,"amountPaid":1200.0,"currentPeriodEnd":1768212009000.5,`+
			`"planId":"plan","status":"active","storeId":"s","stripeSubscriptionId":"sub_1","userId":"u"}`)
	if s := stripe.Facts.Subscriptions[0]; s.ID != "sub_1" || s.CurrentPeriodEnd != nil || s.Amount != nil ||
		!s.EverActive || s.ProductKind != "membership" || s.ProductRef != "plan" {
		t.Errorf("%+v", s)
	}
	own := convex(t, "subscriptions",
		`{"_id":"m2","_creationTime":1.0,"currentPeriodEnd":1768212009000,"customerId":"k1","planName":"Gold",`+
			`"status":"cancelled","canceledAt":1765620009000}`)
	if s := own.Facts.Subscriptions[0]; s.ID != "convex:m2" || s.CurrentPeriodEnd == nil || s.Status != "canceled" ||
		s.EndedAt == nil || s.StripeCustomer != "k1" || s.PlanName != "Gold" {
		t.Errorf("%+v", s)
	}
	one, two := convex(t, "subscriptions", `{"_id":"m2","_creationTime":1.0,"status":"cancelled"}`),
		convex(t, "subscriptions", `{"_id":"m2","_creationTime":1.0,"status":"canceled"}`)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
	if s := convex(t, "userCreatorSubscriptions",
		`{"_id":"m3","_creationTime":1.0,"status":"incomplete","tierId":"tier",`+
			`"creatorId":"user_c"}`).Facts.Subscriptions[0]; s.EverActive || s.ProductRef != "tier" || s.CreatorRef != "user_c" {
		t.Errorf("%+v", s)
	}
}

// A line that cannot be used says what is wrong with it.
func TestConvexErrors(t *testing.T) {
	for _, c := range []struct{ table, line, want string }{
		{"users", `{"clerkId":"u"}`, "_id is missing"},
		{"users", `{"_id":`, "unexpected end"},
		{"users", `[]`, "must be an object"},
		{"users", `not json`, "invalid character"},
		{"enrollments", `{"_id":"e","_creationTime":1.0,"userId":"u"}`, "courseId and userId"},
		{"enrollments", `{"_id":"e","courseId":"c","userId":"u"}`, "_creationTime is missing"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":19.5,"status":"completed"}`, `"19.5" has a fraction`},
		{"purchases", `{"_id":"p","_creationTime":1.0,"status":"completed"}`, "(missing) is not a number"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":-5,"status":"completed"}`, "must not be negative"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":{"$float":"AAAAAAAA+H8="},"status":"completed"}`,
			"is not a number"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":1e300,"status":"completed"}`, "is out of range"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":1e999999999,"status":"completed"}`, "is not a number"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":1000000000000001,"status":"completed"}`, "more than 10^15"},
		{"purchases", `{"_id":"p","_creationTime":1.0,"amount":1999.99,"status":"completed"}`, `"1999.99" has a fraction`},
		{"subscriptions", `{"_id":"s","_creationTime":1.0}`, "has no status"},
		{"boats", `{}`, `table "boats" is not needed`},
	} {
		row, err := NewConvexExport(noon).Read(c.table, []byte(c.line))
		var bad *Malformed
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || !cmp.Equal(row, ConvexRow{}) {
			t.Errorf("%s %s: %+v %v, want %q", c.table, c.line, row, err, c.want)
		}
	}
}

// An address that is none is never taken for one; figures are only compared.
func TestConvexCustomers(t *testing.T) {
	row := convex(t, "customers", `{"_id":"k1","email":" Ava@X.example","name":"Ava","storeId":"s","totalSpent":1998.0}`)
	spent := int64(1998)
	if diff := cmp.Diff(&ConvexCustomer{StoreRef: "s", Email: "ava@x.example", Spent: &spent}, row.Customer); diff != "" {
		t.Error(diff)
	}
	if c := row.Facts.StripeCustomers[0]; c.ID != "k1" || c.Email != "ava@x.example" || c.Account != "" {
		t.Errorf("%+v", c)
	}
	if row := convex(t, "customers", `{"_id":"k1","email":"user_2Ava","totalSpent":5}`); !cmp.Equal(
		row, ConvexRow{Passed: []string{"without an email address"}}) {
		t.Errorf("%+v", row)
	}
}

// A field that cannot be used is passed over, and named; the rest of its row counts.
func TestConvexOddFields(t *testing.T) {
	for said, want := range map[string]string{`100.5`: "100", `-1`: "0", `99.9999999`: "100", `"45.5"`: "45.5",
		`"NaN"`: "passed", `true`: "passed", `null`: "none"} {
		row := convex(t, "enrollments", `{"_id":"e","_creationTime":1.0,"courseId":"c","userId":"u","progress":`+said+`}`)
		got := "none"
		if len(row.Passed) > 0 {
			got = "passed"
		} else if p := row.Facts.Enrollments[0].Progress; p != nil {
			got = fmt.Sprint(*p)
		}
		if got != want || len(row.Facts.Enrollments) != 1 {
			t.Errorf("progress %s: %s, want %s", said, got, want)
		}
	}
	for table, line := range map[string]string{
		"courses":       `{"_id":"c","title":"C","price":-1}`,
		"subscriptions": `{"_id":"s","_creationTime":1.0,"status":"active","amount":"much"}`,
	} {
		if row := convex(t, table, line); len(row.Passed) != 1 || !strings.HasSuffix(row.Passed[0], "(the rest was read)") ||
			len(row.Facts.Products)+len(row.Facts.Subscriptions) != 1 {
			t.Errorf("%s %s: %+v", table, line, row)
		}
	}
}

// What arithmetic in floats left of an amount is rounded.
func TestConvexDust(t *testing.T) {
	for said, want := range map[string]int64{`7840.000000000001`: 7840, `1998.9999999999998`: 1999,
		`"7840.000000000001"`: 7840, `1000000000000000`: 1e15} {
		p := convex(t, "purchases",
			`{"_id":"p","_creationTime":1.0,"courseId":"c","userId":"u","status":"completed","transactionId":"pi_1","amount":`+
				said+`}`).Facts.Payments[0]
		if *p.Amount != want {
			t.Errorf("%s: %d, want %d", said, *p.Amount, want)
		}
	}
}

// Users of other schemas: known by the token of their sessions, and named by the
// _id of their document.
func TestConvexUsersOfOtherSchemas(t *testing.T) {
	for line, want := range map[string]string{
		`{"_id":"k1","tokenIdentifier":"https://happy-otter-1.clerk.accounts.dev|user_1"}`: "user_1",
		`{"_id":"k1","externalId":"user_1"}`:                                               "user_1",
		`{"_id":"k1","clerkUserId":"user_1"}`:                                              "user_1",
		`{"_id":"k1","clerkId":"user_1","tokenIdentifier":"https://x|user_2"}`:             "user_1",
		`{"_id":"k1","tokenIdentifier":"https://x"}`:                                       "",
		`{"_id":"k1","email":"a@x.example"}`:                                               "",
	} {
		row, got := convex(t, "users", line), ""
		for _, u := range row.Facts.Users {
			got = u.ID
		}
		if got != want || row.Person.ClerkID != want || (want == "") != (len(row.Passed) == 1) {
			t.Errorf("%s: %q %+v", line, got, row)
		}
	}
	x := NewConvexExport(noon)
	x.Person = func(id string) (ConvexPerson, bool) {
		p, ok := map[string]ConvexPerson{"k1": {ClerkID: "user_1", Email: "a@x.example"}, "k2": {Email: "b@x.example"},
			"k3": {}}[id]
		return p, ok
	}
	for id, want := range map[string]string{"k1": "user:user_1", "k2": "email:b@x.example", "k3": "user:k3",
		"k4": "user:k4", "user_7": "user:user_7", "https://x|user_8": "user:user_8"} {
		for table, line := range map[string]string{
			"enrollments": `{"_id":"e","_creationTime":1.0,"courseId":"c","userId":%q}`,
			"purchases":   `{"_id":"p","_creationTime":1.0,"courseId":"c","userId":%q,"amount":5,"status":"completed"}`,
		} {
			row, err := x.Read(table, fmt.Appendf(nil, line, id))
			if err != nil || row.Facts.Enrollments[0].Person != want {
				t.Errorf("%s of %s: %+v %v, want %s", table, id, row.Facts.Enrollments, err, want)
			}
			for _, p := range row.Facts.Payments {
				if got := "user:" + p.UserRef; got != want && "email:"+p.Email != want {
					t.Errorf("payment of %s: %+v", id, p.Context)
				}
			}
		}
	}
	if row, err := x.Read("stores", []byte(`{"_id":"s","userId":"k1"}`)); err != nil ||
		row.Facts.Stores[0].OwnerUserID != "user_1" {
		t.Errorf("%+v %v", row, err)
	}
}

// Purchases without a status are completed if they say what was paid, and when or
// by what; the others are passed over with the reason.
func TestConvexPurchasesWithoutStatus(t *testing.T) {
	for _, c := range []struct{ fields, payment, passed string }{
		{`"amount":1999,"purchaseDate":1767225600004.0`, "p", ""},
		{`"amount":1999,"purchasedAt":1767225600004.0`, "p", ""},
		{`"amount":1999,"stripePaymentIntentId":"pi_1"`, "pi_1", ""},
		{`"amount":1999,"stripePurchaseId":"pi_1"`, "pi_1", ""},
		{`"amount":1999,"stripePurchaseId":"cs_1","paymentIntentId":"pi_1"`, "pi_1", ""},
		{`"amount":1999,"purchaseDate":1767225600004.0,"stripePurchaseId":"cs_1"`, "cs_1", ""},
		{`"amount":1999`, "", "without a status"},
		{`"purchaseDate":1767225600004.0`, "", "without a status"},
		{`"amount":1999,"purchaseDate":1767225600004.0,"status":"pending"`, "", "not completed (pending)"},
		{`"amount":1999,"purchaseDate":1767225600004.0,"status":"ann@x.example"`, "", "of a status that is not known"},
		{`"amount":1999,"status":"succeeded"`, "p", ""},
	} {
		row := convex(t, "purchases", `{"_id":"p","_creationTime":1767225600000.5,"userId":"u","courseId":"c",`+c.fields+`}`)
		got := ""
		for _, p := range row.Facts.Payments {
			if got = p.ID; strings.Contains(c.fields, "1767225600004.0") && !p.PaidAt.Equal(time.UnixMilli(1767225600004)) {
				t.Errorf("%s: paid at %v", c.fields, p.PaidAt)
			}
		}
		passed := strings.Join(row.Passed, "; ")
		if got != c.payment || !strings.Contains(passed, c.passed) || (c.passed == "") != (passed == "") ||
			strings.Contains(passed, "ann@") {
			t.Errorf("%s: payment %q, passed over %q", c.fields, got, passed)
		}
		if enrolled := len(row.Facts.Enrollments) == 1; enrolled != (c.payment != "" || strings.Contains(c.passed, "alone")) {
			t.Errorf("%s: enrolled %v", c.fields, enrolled)
		}
	}
}

// A user's last sign-in is the same to the API and to the events, and so is
// all the rest.
func TestReadClerkUser(t *testing.T) {
	user := `{"id":"user_1","first_name":"A\u0000va","primary_email_address_id":"i",` +
		`"email_addresses":[{"id":"i","email_address":"Ava@x.example","verification":{"status":"verified"}}],` +
		`"updated_at":1768211400000,"last_sign_in_at":1768211300000,"last_active_at":1768211400000}`
	told := read(t, "clerk", "user.updated", `{"data":`+user+`}`)
	listed, err := ReadClerkUser(noon.AddDate(9, 0, 0), []byte(user))
	if err != nil {
		t.Fatal(err)
	}
	if !listed.Users[0].LastSeenAt.Equal(time.UnixMilli(1768211300000)) ||
		listed.Users[0].Version[:27] != told.Users[0].Version[:27] {
		t.Errorf("%+v", listed.Users[0])
	}
	if !listed.At.Equal(time.UnixMilli(1768211400000)) {
		t.Errorf("it happened at %v", listed.At)
	}
	listed.Users[0].Version, listed.At = told.Users[0].Version, told.At
	if diff := cmp.Diff(told, listed); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadClerkUser(noon, []byte(`{}`)); err == nil || err.Error() != "Clerk user: it has no usable id" {
		t.Error(err)
	}
}

// No line of any table panics, and what is read can be kept.
func FuzzConvex(f *testing.F) {
	for _, line := range []string{
		`{"_id":"k\u0000","_creationTime":1765620005000.75,"clerkId":"user_1","email":"A\ud800@x.example","name":"é"}`,
		`{"_id":"k","_creationTime":1,"amount":"33","courseId":"c","userId":"u","status":"completed",` +
			`"productType":"course","currency":"USD"}`,
		`{"_id":"k","_creationTime":1e300,"price":1e-400,"courseIds":["a",7,null],"deletedAt":5}`,
		`{"_id":"k","_creationTime":1.0,"status":"refunded","amount":9223372036854775807}`, "{\"_id\":\"\xff\"}", `null`,
		`"x"`, ``,
	} {
		for i := range ConvexTables {
			f.Add(uint8(i), []byte(line))
		}
	}
	x := NewConvexExport(noon)
	f.Fuzz(func(t *testing.T, table uint8, line []byte) {
		row, err := x.Read(ConvexTables[int(table)%len(ConvexTables)], line)
		var bad *Malformed
		if err != nil {
			if !errors.As(err, &bad) || !cmp.Equal(row, ConvexRow{}) {
				t.Fatalf("%+v %v", row, err)
			}
			return
		}
		text, err := json.Marshal(row)
		if err != nil || !utf8.Valid(text) || strings.Contains(string(text), `\u0000`) {
			t.Fatalf("Postgres cannot hold this: %s %v", text, err)
		}
		for _, p := range row.Facts.Payments {
			if p.ID == "" || len(p.ID) > maxID || p.ClaimVersion != "" && (p.Amount == nil || *p.Amount < 0 || p.PaidAt == nil ||
				len(p.Currency) != 3) {
				t.Errorf("%+v", p)
			}
		}
		for _, e := range row.Facts.Enrollments {
			if e.CourseID == "" || e.Person == "user:" || e.Progress != nil && !(*e.Progress >= 0 && *e.Progress <= 100) {
				t.Errorf("%+v", e)
			}
		}
		for _, s := range row.Facts.Subscriptions {
			if s.ID == "" || s.Status == "" || s.Version == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}

// Taking a document apart finds what encoding/json finds.
func FuzzEachField(f *testing.F) {
	for _, line := range []string{` {"a":1,"b" : [1,{"c":"]}"}, "\\"] ,"d":"x\"y","e":{},"f":null } `, `{}`,
		`{"a":{"b":[[],{}]},"c":-1.5e3}`, `[1]`, `{"a"`, `"x"`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var want map[string]json.RawMessage
		bad := json.Unmarshal(line, &want)
		got := map[string]json.RawMessage{}
		err := eachField(line, func(key, value []byte) error {
			var name string
			if err := json.Unmarshal(slices.Concat([]byte(`"`), key, []byte(`"`)), &name); err != nil {
				return err
			}
			got[name] = value
			return nil
		})
		if null := strings.TrimSpace(string(line)) == "null"; (err == nil) != (bad == nil && !null) {
			t.Fatalf("%v, json says %v", err, bad)
		}
		if err == nil && !cmp.Equal(want, got) {
			t.Fatalf("%s, json says %s", got, want)
		}
	})
}

// An export without a currency is of the old app's, which sold in US dollars only. A
// currency that is none fails the row, as an amount that is none does, or costs it
// its price: what it was meant to be nobody knows.
func TestConvexCurrency(t *testing.T) {
	for said, want := range map[string]string{``: "usd", `,"currency":null`: "usd", `,"currency":""`: "usd",
		`,"currency":" EUR"`: "eur", `,"currency":"€"`: "", `,"currency":"us1"`: "", `,"currency":"dollar"`: ""} {
		x := NewConvexExport(noon)
		_, err := x.Read("purchases",
			[]byte(`{"_id":"k","_creationTime":1,"amount":5,"productId":"p","userId":"u","status":"completed"`+said+`}`))
		_, refund := x.Read("refunds", []byte(`{"_id":"r","orderId":"o","refundAmount":5,"status":"completed"`+said+`}`))
		if (err != nil) != (want == "") || (refund != nil) != (want == "") || err != nil &&
			!strings.Contains(err.Error(), "currency must be three letters") {
			t.Errorf("%s: %v, %v", said, err, refund)
		}
		product, err := x.Read("courses", []byte(`{"_id":"c","price":5`+said+`}`))
		if p := product.Facts.Products; err != nil || p[0].PriceCurrency != want ||
			(len(product.Passed) == 1) != (want == "") {
			t.Errorf("%s: %+v %q %v", said, p, product.Passed, err)
		}
		plan, err := x.Read("subscriptions", []byte(`{"_id":"s","_creationTime":1,"status":"active","amount":5`+said+`}`))
		if s := plan.Facts.Subscriptions; err != nil || s[0].Currency != want || (len(plan.Passed) == 1) != (want == "") {
			t.Errorf("%s: %+v %q %v", said, s, plan.Passed, err)
		}
	}
}
