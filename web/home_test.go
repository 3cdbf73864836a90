package web

import (
	"strings"
	"testing"
)

// The start leads everyone to where they work.
func TestHome(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	x.exec(t, `INSERT INTO stores (id, name, owner_user_id, member_user_ids, version) VALUES
		('st/o"r', '<b>Studio</b>', 'user_other', '{user_two}', 'v'), ('gone', NULL, 'user_else', '{}', 'v'),
		('beat', 'Beats', 'user_two', NULL, 'v')`)
	creator := func(id string) as { return withClerk(sign(t, clerkKey, nil, sessionOf(id))) }
	for name, c := range map[string]struct {
		who as
		to  string
	}{
		"a stranger":  {stranger, "/signin"},
		"an operator": {asAdmin, "/admin"},
		"one store":   {creator("user_owner"), "/store/store_a/customers"},
		"a member":    {creator("user_member"), "/store/store_a/customers"},
		"two stores":  {creator("user_two"), "/stores"},
		"no store":    {creator("user_buyer"), "/stores"},
		"a program":   {withBearer(x.token(t, "store_b").Secret), "/store/store_b/customers"},
		"no longer valid": {withClerk(sign(t, clerkKey, nil, sessionOf("user_owner").with(claims{"exp": 1}))),
			"/signin"},
		"an operator, a creator": {both(asAdmin, creator("user_owner")), "/admin"},
	} {
		got := x.get(t, "/", c.who)
		if got.StatusCode != 303 || got.Header.Get("Location") != c.to {
			t.Errorf("%s: %d %v", name, got.StatusCode, got.Header)
		}
	}
	two := x.get(t, "/stores", creator("user_two"))
	if !strings.Contains(two.text, `href="/store/st%2Fo%22r/customers"`) ||
		!strings.Contains(two.text, "&lt;b&gt;Studio") ||
		!strings.Contains(two.text, "Beats") || strings.Contains(two.text, "gone") ||
		strings.Contains(two.text, "store_a") {
		t.Error(two.text)
	}
	if none := x.get(t, "/stores", creator("user_buyer")); !strings.Contains(none.text, "You have no store yet") {
		t.Error(none.text)
	}
	if got := x.get(t, "/store/beat", creator("user_two")); got.Header.Get("Location") != "/store/beat/customers" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

// The bar offers the stores of the person alone; operators are led to all.
func TestStoreSwitch(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	x.exec(t, `INSERT INTO stores (id, name, owner_user_id, member_user_ids, version) VALUES
		('second', 'Second', 'user_owner', NULL, 'v'), ('third', '', 'user_else', '{user_else,user_owner}', 'v'),
		('foreign', 'Foreign', 'user_other', '{user_former}', 'v')`)
	x.exec(t, `INSERT INTO users (id, name, version, deleted_version)
		VALUES ('user_owner', 'Olga <i>Aurora</i>', 'v', '')`)
	const list = "/store/store_a/customers"
	got := x.get(t, list, withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))).text
	for _, want := range []string{`href="/store/second/customers"`, `href="/store/third/customers"`, "Your stores",
		"Olga &lt;i&gt;Aurora", ">OI<"} {
		if !strings.Contains(got, want) {
			t.Errorf("without %s: %.1500s", want, got)
		}
	}
	member := x.get(t, list, withClerk(sign(t, clerkKey, nil, sessionOf("user_member")))).text
	program := x.get(t, list, withBearer(x.token(t, "store_a").Secret)).text
	for who, text := range map[string]string{"the owner": got, "a member": member, "a program": program} {
		for _, not := range []string{"Foreign", "/admin", "store_b"} {
			if strings.Contains(text, not) {
				t.Errorf("%s sees %s: %.1500s", who, not, text)
			}
		}
		if who != "the owner" && (strings.Contains(text, "Second") || strings.Contains(text, "Olga")) {
			t.Errorf("%s sees what is the owner's: %.1500s", who, text)
		}
	}
	if operator := x.get(t, list, asAdmin).text; !strings.Contains(operator, `href="/admin/stores"`) ||
		strings.Contains(operator, "Second") {
		t.Errorf("an operator: %.1500s", operator)
	}
}
