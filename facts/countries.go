package facts

import (
	"encoding/json"
	"slices"
	"strings"
)

// countries are the codes of ISO 3166-1 alpha-2, sorted, and those that Stripe has besides: AC, TA and XK.
var countries = strings.Fields(`AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN
	BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER
	ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO
	IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML
	MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT
	PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TF TG TH TJ TK TL TM
	TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW`)

// Countries lists the codes that a country may have.
func Countries() []string { return slices.Clone(countries) }

// Country is the code of a country in capitals; empty for other texts.
func Country(code string) string {
	code = strings.ToUpper(strings.TrimSpace(code))
	if _, known := slices.BinarySearch(countries, code); !known {
		return ""
	}
	return code
}

// country is that of an address; other shapes have none.
type country string

func (c *country) UnmarshalJSON(b []byte) error {
	var address struct{ Country text }
	if json.Unmarshal(b, &address) == nil {
		*c = country(Country(string(address.Country)))
	}
	return nil
}
