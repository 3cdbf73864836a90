package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"rollcall/webhooks"
)

const fixtures = "../testdata/fixtures"

// delivery is one signed request of a source.
type delivery struct {
	source, id string
	body       []byte
}

func (d delivery) header() (http.Header, error) {
	switch d.source {
	case "clerk":
		return webhooks.SignClerk(secret, d.id, d.body, time.Now())
	case "platform":
		return webhooks.SignPlatform(secret, d.id, d.body, time.Now())
	}
	return webhooks.SignStripe(secret, d.body, time.Now()), nil
}

// mainStories are the fixtures of the stories that the manifest totals, and the
// platform's word on their stores.
func mainStories(t *testing.T) (all []delivery) {
	var manifest struct {
		Events []struct {
			File, Story string
			EventID     string `json:"event_id"`
		}
	}
	raw, err := os.ReadFile(filepath.Join(fixtures, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(raw, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range manifest.Events {
		if slices.Contains([]string{"ava_refund_fails", "ava_deleted", "dmitri_lost"}, e.Story) {
			continue // other endings
		}
		body, err := os.ReadFile(filepath.Join(fixtures, e.File))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, delivery{filepath.Dir(e.File), e.EventID, body})
	}
	for id, account := range map[string]string{aurora: "acct_1OwnerAurora3Hd", boreali: "acct_1StoreBorealis9Kp",
		cascade: "acct_1StoreCascade4Wz"} {
		all = append(all, delivery{"platform", "msg_" + id, fmt.Appendf(nil,
			`{"type":"store.upserted","timestamp":"2025-09-01T10:00:00Z",`+
				`"data":{"id":%q,"name":"S","owner_user_id":%q,"stripe_account_id":%q}}`,
			id, map[string]string{aurora: "user_2OwnerAurora000000000008"}[id], account)})
	}
	return all
}

const (
	aurora  = "k57aurorastore00000000000000000a"
	boreali = "k57borealisstore000000000000000b"
	cascade = "k57cascadestore0000000000000000c"
)

// Every sample, signed by its source, shuffled and sent twice over HTTP, ends in
// the lists that the API shows.
func TestFixturesOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.startWorker()
	all := mainStories(t)
	twice := append(slices.Clone(all), all...)
	rand.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
	var g errgroup.Group
	g.SetLimit(16)
	for _, d := range twice {
		g.Go(func() error {
			header, err := d.header()
			if err == nil {
				_, err = s.send(d.source, header, d.body)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s.until("nothing pending", fmt.Sprintf(`count(*) = %d FROM webhook_events WHERE status IN ('processed', 'ignored')`,
		len(all)))
	for store, want := range map[string][]string{
		aurora: {
			"ava@lindqvist.example paying 2400usd", "ben.okafor@example.org lead",
			"chloe.marchetti@example.com subscription 5700eur",
			"dmitri.kovac@example.net paying 2900usd", "hana.mori@example.jp paying 5800jpy",
			"ida.sorensen@example.dk subscription",
			"joao.souza@example.com.br paying 27440brl", "jonas.berg@example.se paying 7900usd",
			"kira.sato@example.jp subscription 1200usd",
			"noah.weiss@example.de paying 500usd",
		},
		boreali: {"ava.lindqvist@example.com paying 3500usd"},
		cascade: {"farid.haddad@example.com paying 2000usd"},
	} {
		if diff := cmp.Diff(want, s.list(store)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", store, diff)
		}
	}
}

// list reads a store's customers from the API, by email.
func (s *system) list(store string) (lines []string) {
	var page struct {
		Data []struct {
			Email, Type string
			TotalSpent  []struct {
				Amount   int64
				Currency string
			} `json:"total_spent"`
		}
	}
	s.get("/api/stores/"+store+"/customers?sort=email&limit=100", &page)
	for _, c := range page.Data {
		line := c.Email + " " + c.Type
		for _, m := range c.TotalSpent {
			line += fmt.Sprintf(" %d%s", m.Amount, m.Currency)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}
