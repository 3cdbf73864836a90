package webhooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"time"

	"rollcall/internal/tally"
	"rollcall/store"
)

// Counter adds up the outcomes of deliveries; *store.Store implements it.
type Counter interface {
	CountDeliveries(ctx context.Context, counts []store.Counted) error
}

const (
	// keepCounts is how long counts are kept while Postgres is down. Each minute has about twenty
	// outcomes for each of three sources.
	keepCounts = 48 * time.Hour
	// maxNetworks is how many networks a receiver keeps apart, of one source, outcome and hour: a flood
	// of strangers must not make rows without bound.
	maxNetworks = 50
)

// deliveryCounts counts deliveries by source, outcome and minute: a refused delivery leaves no other
// trace. Nil counts nothing.
type deliveryCounts struct {
	*tally.Tally[countKey, store.Delivered]
	secrets  map[string]string // fingerprints, by source
	networks networks
}

type countKey struct {
	source, outcome string
	minute          time.Time
	network         string
	secrets         string
}

func newDeliveryCounts(cfg Config) *deliveryCounts {
	if cfg.Counter == nil {
		return nil
	}
	t := &deliveryCounts{secrets: map[string]string{}}
	for source, all := range cfg.Secrets {
		t.secrets[source] = fingerprint(all)
	}
	t.Tally = tally.New(tally.Config[countKey, store.Delivered]{
		Add: addDelivered, Log: cfg.Logger, What: "deliveries",
		Write: func(ctx context.Context, counts map[countKey]store.Delivered) error {
			return cfg.Counter.CountDeliveries(ctx, listed(counts))
		},
		Keep: func(k countKey) (countKey, bool) {
			k.network = store.Elsewhere // many networks would fill the memory
			return k, cfg.Now().Sub(k.minute) < keepCounts
		},
	})
	return t
}

// fingerprint changes when the secrets do. It is too short to test guesses of them.
func fingerprint(secrets []Secret) string {
	values := make([]string, len(secrets))
	for i, secret := range secrets {
		values[i] = secret.value
	}
	hash := sha256.Sum256([]byte("rollcall signing secrets\n" + strings.Join(values, "\n")))
	return hex.EncodeToString(hash[:4])
}

// count counts a delivery.
func (t *deliveryCounts) count(d *delivery, at time.Time) {
	if t == nil || d.source == noSource {
		return
	}
	at = at.UTC()
	k := countKey{source: d.source, outcome: d.code, minute: at.Truncate(time.Minute),
		network: t.networks.of(d, at.Truncate(time.Hour))}
	if d.checked && (d.code == accepted || d.code == duplicate || d.code == invalidSignature) {
		k.secrets = t.secrets[d.source]
	}
	t.Add(k, store.Delivered{Source: d.source, Outcome: d.code, Count: 1, First: at, Last: at})
}

func addDelivered(sum, more store.Delivered) store.Delivered {
	sum.Count += more.Count
	if more.First.Before(sum.First) {
		sum.First = more.First
	}
	if more.Last.After(sum.Last) {
		sum.Last = more.Last
	}
	return sum
}

func listed(counts map[countKey]store.Delivered) []store.Counted {
	list := make([]store.Counted, 0, len(counts))
	for k, d := range counts {
		list = append(list, store.Counted{Delivered: d, Network: k.network, Secrets: k.secrets})
	}
	return list
}

func (t *deliveryCounts) close() {
	if t != nil {
		t.Close()
	}
}

// networks are those that deliveries of this hour come from.
type networks struct {
	mu    sync.Mutex
	hour  time.Time
	known map[[2]string]map[netip.Prefix]bool // by source and outcome
}

// of is the network of a delivery, or store.Elsewhere if it is one too many.
func (n *networks) of(d *delivery, hour time.Time) string {
	network := networkOf(d.from)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !hour.Equal(n.hour) {
		n.hour, n.known = hour, map[[2]string]map[netip.Prefix]bool{}
	}
	of := [2]string{d.source, d.code}
	if n.known[of] == nil {
		n.known[of] = map[netip.Prefix]bool{}
	}
	if !network.IsValid() || !n.known[of][network] && len(n.known[of]) >= maxNetworks {
		return store.Elsewhere
	}
	n.known[of][network] = true
	return network.String()
}

// networkOf is as much of an address as is kept: it leads to an organisation, and seldom to a person.
func networkOf(at netip.Addr) netip.Prefix {
	bits := 24
	if at.Is6() {
		bits = 48
	}
	network, _ := at.Prefix(bits) // fails for the zero address, and returns the zero prefix
	return network
}
