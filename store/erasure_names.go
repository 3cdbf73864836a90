package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/facts"
)

// Objects of one buyer: payments, charges, invoices, sessions, subscriptions.
// Most events about them name no identity of a person, but may carry an address
// or a name typed at checkout. So when the buyer is erased, payloads that name
// such an object are emptied. Its facts stay.

// objectID finds ids of Stripe objects that belong to one buyer. A payment method
// is not among them: it leads from one payment to all others made with it.
var objectID = regexp.MustCompile(`^(pi|ch|py|in|cs|sub|seti|re|pyr|du|dp)_\w+$`)

// moneyID finds those of them that are never renewed: what happens to one after
// an erasure still belongs to what happened before.
var moneyID = regexp.MustCompile(`^(pi|ch|py|cs)_`)

// foreignFields are fields of Stripe objects whose text names no object of the
// buyer: the platform wrote it, or it is a secret.
var foreignFields = []string{"metadata", "client_secret"}

// about is whom and what an event is about.
type about struct {
	people  []identity // whom its object names
	objects []identity // objects of one buyer
	money   []identity // those of them that are the event's own subject
}

// aboutOf reads an event of any type. set holds its facts, if it can be read.
func aboutOf(e facts.Event, set facts.Set) (a about) {
	for _, p := range purchasesOf(&set, asStored) {
		a.objects = append(a.objects, p.object())
	}
	var body struct {
		Data struct{ Object map[string]any }
	}
	if e.Source != "stripe" || json.Unmarshal(e.Payload, &body) != nil {
		return a
	}
	a.walk(body.Data.Object, e.Account)
	for _, field := range []string{"id", "payment_intent", "charge"} {
		id, ok := body.Data.Object[field].(string)
		if whole, expanded := body.Data.Object[field].(map[string]any); expanded {
			id, ok = whole["id"].(string)
		}
		if ok && moneyID.MatchString(id) {
			a.money = append(a.money, identity{anObject, e.Account + "/" + id})
		}
	}
	return a
}

// walk collects whom and what a value names.
func (a *about) walk(value any, account string) {
	switch v := value.(type) {
	case map[string]any:
		for field, inner := range v {
			if m, ok := inner.(map[string]any); ok && field == "metadata" { // an invoice has its subscription's, too
				a.walk([]any{m["userId"], m["submitterId"]}, account)
			} else if !slices.Contains(foreignFields, field) {
				a.walk(inner, account)
			}
		}
	case []any:
		for _, inner := range v {
			a.walk(inner, account)
		}
	case string:
		if objectID.MatchString(v) {
			a.objects = append(a.objects, identity{anObject, account + "/" + v})
		} else {
			a.people = namedInText(a.people, v, account)
		}
	}
}

// namedIn lists whom the text of a payload names, anywhere, by an address or by
// an id that says what it is; account is the event's. Where nothing is escaped
// the payload is one text; else its strings are taken out of it.
func namedIn(payload []byte, account string) (named []identity) {
	if bytes.IndexByte(payload, '\\') < 0 {
		return namedInText(named, string(payload), account)
	}
	for tokens := json.NewDecoder(bytes.NewReader(payload)); ; {
		token, err := tokens.Token()
		if err != nil { // the end
			return named
		}
		if text, ok := token.(string); ok {
			named = namedInText(named, text, account)
		}
	}
}

func namedInText(named []identity, text, account string) []identity {
	if strings.Contains(text, "%40") {
		text += " " + strings.ReplaceAll(text, "%40", "@")
	}
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 {
			break
		}
		at += next
		word := text
		if before := strings.LastIndexFunc(text[:at], outsideAddress); before >= 0 {
			_, size := utf8.DecodeRuneInString(text[before:])
			word = text[before+size:]
		}
		if end := strings.IndexFunc(word, outsideAddress); end >= 0 {
			word = word[:end]
		}
		if address := facts.Email(strings.Trim(word, ".!*`")); address != "" {
			named = append(named, identity{anAddress, address})
		}
	}
	named = idsInText(named, text, "user_", func(id string) identity { return identity{aUser, id} })
	return idsInText(named, text, "cus_", func(id string) identity {
		return identity{aStripeCustomer, account + "/" + id}
	})
}

// outsideAddress reports whether a character ends an address in a text.
func outsideAddress(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`"'<>()[]{},;:\/=&?|`, r)
}

// idsInText finds ids that begin as Clerk's of users or Stripe's of customers
// do; those of guests have a g before that.
func idsInText(named []identity, text, prefix string, of func(string) identity) []identity {
	for at := 0; ; {
		next := strings.Index(text[at:], prefix)
		if next < 0 {
			return named
		}
		from := at + next
		at = from + len(prefix)
		for at < len(text) && inWord(text[at]) {
			at++
		}
		if prefix == "cus_" && from > 0 && text[from-1] == 'g' {
			from--
		}
		if at > from+len(prefix) && (from == 0 || !inWord(text[from-1])) {
			named = append(named, of(text[from:at]))
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// identitiesOf lists all that facts name people by, and the objects they bought.
func identitiesOf(set facts.Set) []identity {
	all := map[identity]bool{}
	add := func(kind, value string) {
		if value != "" {
			all[identity{kind, value}] = true
		}
	}
	addContext := func(account string, c *facts.Context) {
		add(aUser, c.UserRef)
		add(anAddress, c.Email)
		if c.StripeCustomer != "" {
			add(aStripeCustomer, account+"/"+c.StripeCustomer)
		}
	}
	for _, f := range set.Users {
		add(aUser, f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.StripeCustomers {
		add(aStripeCustomer, f.Account+"/"+f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.Enrollments {
		who := personOf(f.Person)
		add(who.kind, who.value)
		add(anAddress, f.Email)
	}
	for _, p := range purchasesOf(&set, asStored) {
		all[p.object()] = true
		for _, c := range p.parts {
			addContext(p.A, c.Context)
		}
	}
	for _, f := range set.Checkouts {
		all[checkoutObject(f)] = true
		addContext(f.Account, &f.Context)
	}
	for _, f := range set.FailedInvoices {
		addContext(f.Account, &facts.Context{StripeCustomer: f.StripeCustomer})
	}
	for _, f := range set.Consents {
		add(aUser, f.UserID)
		add(anAddress, f.Email)
	}
	return slices.Collect(maps.Keys(all))
}
