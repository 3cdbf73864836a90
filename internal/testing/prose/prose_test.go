package prose

import "testing"

func TestFaults(t *testing.T) {
	for _, wrong := range []string{
		"is that of a second endpoint missing?.", "It ends..", "Well.; then", "Really.?", "a list:.",
		"1 event of type invoice.paid from Stripe have failed and are tried no more", "1 event are tried no more",
		"1 fact that are missing",
		"and 1 event wait to be applied", "1 events failed", "(1 customers)",
	} {
		if len(Faults(wrong)) == 0 {
			t.Errorf("%q reads well", wrong)
		}
	}
	for _, right := range []string{
		"Is it missing?", "Wait …", "and so on...", "e.g., a course", "../x", "12:30.",
		"1 event of type x from Stripe is late",
		"11 events are", "0.1 events", "1 customer has 2 courses that are new", "1 class was", "in 1 status",
		"2026-01-01 are",
		"1 mail of store s1 may have been sent", "mails of 1 store have waited",
		"Here is 1 fact. Others are not.", "a (b?)",
	} {
		if found := Faults(right); len(found) > 0 {
			t.Errorf("%q has %q", right, found)
		}
	}
	found := FaultsOfPage(`<p>Is it <b>missing?</b>.</p><b>1</b> <span>events</span><p>x?</p><p>.</p>`)
	if len(found) != 2 {
		t.Errorf("found %q", found)
	}
}
