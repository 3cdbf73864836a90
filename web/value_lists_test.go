package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/store/value"
	"rollcall/web/core"
)

// The list of people is the same in each order and in pages of any size, and a store has only its own.
func TestValuePeople(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	x.valued(t)
	path := "/api/stores/studio/value/customers?currency=usd"
	all := x.expected(t, path, 100)
	if x.wantCount(t, `SELECT count(*) FROM value_people WHERE store_id = 'studio'`, len(all)); len(all) < 200 {
		t.Errorf("%d buyers", len(all))
	}
	same := func(name string, got, want []value.Expected) {
		if d := diff.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
	same("without currency", x.expected(t, "/api/stores/studio/value/customers?", 70), all)
	same("sort=-expected", x.expected(t, path+"&sort=-expected", 33), all)
	same("sort=expected", x.expected(t, path+"&sort=expected", 50), reversed(all))
	if !slices.IsSortedFunc(all, func(a, b value.Expected) int { return int(b.Expected - a.Expected) }) {
		t.Error("those with the most are not first")
	}
	again := slices.DeleteFunc(slices.Clone(all), func(e value.Expected) bool { return e.Alive == 1 })
	slipping := x.expected(t, path+"&sort=alive", 10)
	if len(again) < 50 || len(slipping) != len(again) ||
		!slices.IsSortedFunc(slipping, func(a, b value.Expected) int { return cmp.Compare(a.Alive, b.Alive) }) {
		t.Errorf("%d of %d who bought again are sorted by chance", len(slipping), len(again))
	}
	same("sort=-alive", x.expected(t, path+"&sort=-alive", 60), reversed(slipping))
	var each []value.Expected
	f := value.PeopleFilter{Store: "studio", Sort: "-expected", Limit: 33}
	if err := value.New(x.Cfg.Store).EachPage(t.Context(), f, func(page []value.Expected) error {
		each = append(each, page...)
		return nil
	}); err != nil || len(each) != len(all) {
		t.Fatal(len(each), err)
	}
	for i := range each {
		each[i].Customer = all[i].Customer // the API has other ids
	}
	same("page after page", each, all)
	x.exec(t, `UPDATE value_people SET store_id = 'elsewhere' WHERE customer_id % 2 = 0`)
	if half := x.expected(t, path, 100); len(half) >= len(all) || len(half) == 0 {
		t.Errorf("another store's: %d of %d", len(half), len(all))
	}
	for _, path := range []string{path + "&sort=mood", path + "&mood=sort", path + "&limit=0", path + "&cursor=x",
		path + "&currency=eur", path + "&sort=alive&cursor=" + x.next(t, path+"&limit=1")} {
		if got := x.get(t, path, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

func reversed(all []value.Expected) []value.Expected {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// expected reads a list to its end, in pages.
func (x *site) expected(t *testing.T, path string, limit int) (all []value.Expected) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Data []value.Expected
			Next string `json:"next_cursor"`
		}
		got := x.get(t, fmt.Sprintf("%s&limit=%d&cursor=%s", path, limit, cursor), asAdmin)
		if err := json.Unmarshal([]byte(got.text), &page); err != nil || len(page.Data) > limit {
			t.Fatalf("%s: %v %s", path, err, got.text)
		}
		all = append(all, page.Data...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// next is the cursor that a page of a list ends with.
func (x *site) next(t *testing.T, path string) (cursor string) {
	t.Helper()
	var page struct {
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(x.get(t, path, asAdmin).text), &page); err != nil || page.Next == "" {
		t.Fatal(err)
	}
	return page.Next
}

// The table of cohorts adds up what the report says of each month.
func TestValueCohorts(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	path := "/api/stores/studio/value/cohorts"
	if got := x.get(t, path, asAdmin); got.text != `{"as_of":null,"time_zone":null,"tables":[]}`+"\n" {
		t.Errorf("not computed: %s", got.text)
	}
	x.valued(t)
	kept, err := value.New(x.Cfg.Store).Read(t.Context(), "studio")
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Tables []value.CohortTable }
	if err := json.Unmarshal([]byte(x.get(t, path, asAdmin).text), &got); err != nil || len(got.Tables) != len(kept.All) {
		t.Fatalf("%v %d", err, len(got.Tables))
	}
	for i, table := range got.Tables {
		wantCohorts(t, kept.All[i], table)
	}
	part := x.get(t, path+"?currency=usd&from="+month(-3)+"&to="+month(-2), asAdmin)
	if err := json.Unmarshal([]byte(part.text), &got); err != nil || len(got.Tables) != 1 ||
		len(got.Tables[0].Cohorts) != 2 || got.Tables[0].Cohorts[0].First != month(-3) {
		t.Errorf("a part: %v %.500s", err, part.text)
	}
	for _, wrong := range []string{"by=source", "from=soon", "currency=dollars", "sort=first"} {
		if got := x.get(t, path+"?"+wrong, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", wrong, got.StatusCode)
		}
	}
}

func wantCohorts(t *testing.T, report value.Report, table value.CohortTable) {
	t.Helper()
	cells, over := report.Cohorts, map[int][3]int64{} // of all: customers, buyers, net so far
	for _, line := range table.Cohorts {
		sum := int64(0)
		for after, m := range line.Months {
			c := cells[0]
			cells, sum = cells[1:], sum+c.Net
			want := value.CohortMonths{After: after, Over: c.Over, Customers: line.Months[0].Buyers, Buyers: c.Buyers,
				Net: c.Net, Each: int64(math.Round(float64(sum) / float64(line.Customers)))}
			if d := diff.Diff(want, m, cmpopts.IgnoreUnexported(m)); d != "" || c.First != line.First {
				t.Errorf("%s %s +%d: -want +got\n%s", report.Currency, line.First, after, d)
			}
			if a := over[after]; c.Over {
				over[after] = [3]int64{a[0] + line.Customers, a[1] + c.Buyers, a[2] + sum}
			}
		}
	}
	if len(cells) > 0 || len(table.Average) != len(over) {
		t.Errorf("%s: %d cells are in no line; %d averages of %d", report.Currency, len(cells), len(table.Average), len(over))
	}
	for after, m := range table.Average {
		if a := over[after]; m.Customers != a[0] || m.Buyers != a[1] ||
			m.Each != int64(math.Round(float64(a[2])/float64(a[0]))) {
			t.Errorf("%s: average +%d is %+v of %v", report.Currency, after, m, a)
		}
	}
}
