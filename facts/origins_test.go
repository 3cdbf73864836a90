package facts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A version tells what it was made of.
func TestProvenance(t *testing.T) {
	at := noon.Add(1234 * time.Microsecond)
	charge := func(o origin, refunded int64) Version {
		set, err := readCharge(o, stripeCharge{stripeObject: stripeObject{ID: "ch_1", Created: 1},
			AmountRefunded: minor{value: refunded}})
		if err != nil {
			t.Fatal(err)
		}
		return set.Refunds[0].Version
	}
	for v, want := range map[Version]Provenance{
		version(at, rankCreated, "evt_1"):                                   {"event", at, "evt_1"},
		version(at, rankCreated, "an id, with spaces  "):                    {"event", at, "an id, with spaces  "},
		version(at, rankCreated, "-"):                                       {"event", at, "-"},
		version(at, rankUpdated, "0000000000000000 x"):                      {"event", at, "0000000000000000 x"},
		version(at, rankDeleted, ""):                                        {"backfill", at, ""},
		claim(claimItemised, version(at, rankUpdated, "evt_2")):             {"event", at, "evt_2"},
		claim(claimCheckout, version(at, rankUpdated, "")):                  {"backfill", at, ""},
		claim(claimHeard, hearsay(version(at, rankUpdated, "k57"))):         {"export", at, ""},
		hearsay(version(at, rankUpdated, "k57")):                            {"export", at, ""},
		hearsay(version(at, rankUpdated, "in_1 ann@x.example Ann Example")): {"invoice", at, ""},
		hearsay(version(at, rankUpdated, "prod_1")):                         {"catalogue", at, ""},
		charge(origin{id: "evt_3", at: at}, 1900):                           {"event", at, "evt_3"},
		charge(origin{id: "evt_3", at: at}, 12345678901234567):              {"event", at, "evt_3"},
		charge(origin{at: at}, 1900):                                        {"backfill", at, ""},
	} {
		got, ok := v.Provenance()
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%q: %v %s", v, ok, diff)
		}
	}
	for _, v := range []Version{"", "v", "4 ", "-", "4 x y z", "2026"} {
		if got, ok := v.Provenance(); ok {
			t.Errorf("%q: %+v", v, got)
		}
	}
}

// An erased person's versions tell nothing of them, and put again they stay.
func TestAnonymous(t *testing.T) {
	for v, want := range map[Version]Version{
		version(noon, rankUpdated, "evt_1"):                                   version(noon, rankUpdated, "evt_1"),
		hearsay(version(noon, rankUpdated, "in_1 ann@x.example Ann Example")): hearsay(version(noon, rankUpdated, "in_1")),
		hearsay(version(noon, rankUpdated, "k57user")):                        hearsay(version(noon, rankUpdated, "")),
		"": "",
	} {
		if got := v.Anonymous(); got != want || got.Anonymous() != want {
			t.Errorf("%q became %q, want %q", v, got, want)
		}
	}
}
