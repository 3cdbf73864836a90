package demo

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/scenario"
	"rollcall/store/customers"
)

// TestCompare: the demo sees what is missing, wrong, or too much.
func TestCompare(t *testing.T) {
	s, err := scenario.Load(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := Player{Scenario: s}
	figures := len(compareRow("", s.Stores[0].Row, figuresOf(customers.Stats{}))) - 1 // the name is right
	if got := compare(s.Stores[0], List{}); len(got) != len(s.Stores[0].Customers)+figures || figures < 5 {
		t.Errorf("%d differences to an empty list: %q", len(got), got)
	}
	john := slices.IndexFunc(s.Stores[0].Customers, func(c scenario.Row) bool { return c["name"] == "John Doe" })
	want := s.Stores[0].Customers[john]
	if want["spent"] != "$299.00" || !strings.Contains(want["courses"], "Mixing Basics 45 %") {
		t.Errorf("John Doe is %+v", want)
	}
	got := maps.Clone(want)
	got["spent"], got["last_activity"] = "$298.00", want["first_seen"]
	differences := compareRow("A", want, got)
	if len(differences) != 2 || !strings.Contains(differences[0], `spent is "$298.00", the scenario says "$299.00"`) {
		t.Errorf("%q", differences)
	}
	p.Lists = map[string]List{
		"store_aurora": {Customers: []customers.Customer{{Email: "who@example.com"}, {Email: "who@example.com"}}}}
	p.Sent = Sent{Events: 2, Accepted: 1, Counts: map[string]int64{"failed": 1}}
	all := strings.Join(p.Differences(), "\n")
	for _, want := range []string{
		"who@example.com is on the list twice", "who@example.com is on the list and should not be",
		"john.doe@example.com is missing",
		"the inbox holds 1 events, the scenario has 2", "1 events failed", "1 deliveries were answered as new",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// TestPlan: nothing is left out, and the same seed plans alike.
func TestPlan(t *testing.T) {
	var plans [2][]string
	for i := range plans {
		p, err := New(Target{}, 7)
		if err != nil {
			t.Fatal(err)
		}
		first, second := p.plan()
		ids := map[string]int{}
		for _, e := range slices.Concat(first, second) {
			ids[e.ID]++
			plans[i] = append(plans[i], e.ID)
		}
		if len(ids) != p.Sent.Events || len(plans[i]) != p.Sent.Events+p.Sent.Doubled {
			t.Errorf("%d events in %d requests: %+v", len(ids), len(plans[i]), p.Sent)
		}
		if p.Sent.Held == 0 || p.Sent.Late == 0 || p.Sent.Doubled == 0 {
			t.Errorf("not late, doubled and held: %+v", p.Sent)
		}
	}
	if !slices.Equal(plans[0], plans[1]) {
		t.Error("two plans of one seed")
	}
}

// TestLate: an event is late if it names what comes after it, once.
func TestLate(t *testing.T) {
	user := scenario.Event{ID: "1", Type: "user.created", Body: []byte(`{"data":{"id":"user_a"}}`)}
	buys := scenario.Event{ID: "2", Type: "enrollment.upserted", Body: []byte(`{"data":{"user_id":"user_a"}}`)}
	all := []scenario.Event{user, buys}
	for _, c := range []struct {
		waves [][]scenario.Event
		want  int
	}{
		{[][]scenario.Event{{user, buys}, {buys}}, 0},
		{[][]scenario.Event{{buys, buys}, {user}}, 1},
	} {
		if got := late(all, c.waves...); got != c.want {
			t.Errorf("%d, want %d", got, c.want)
		}
	}
}
