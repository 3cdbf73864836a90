package customers

import (
	"cmp"
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"rollcall/facts"
	"rollcall/store/pg"
)

// renamed are the names of countries that have another since the tables of the display package were made.
var renamed = map[string]string{"MK": "North Macedonia", "SZ": "Eswatini"}

// CountryName is what pages, whose language is English, call a country; of another text it is that.
func CountryName(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil || facts.Country(code) != code {
		return code
	}
	return cmp.Or(renamed[code], display.English.Regions().Name(region), code)
}

// codesByName are the codes of the countries, by their names in small letters, and by others that people type.
var codesByName = sync.OnceValue(func() map[string]string {
	codes := map[string]string{"uk": "GB", "great britain": "GB", "usa": "US", "united states of america": "US",
		"the netherlands": "NL", "czech republic": "CZ", "türkiye": "TR", "hong kong": "HK", "macau": "MO"}
	for _, code := range facts.Countries() {
		codes[strings.ToLower(CountryName(code))] = code
	}
	return codes
})

// countryCalled is the code of a country that a person typed, by its code or its name; another text stays as it is.
func countryCalled(typed string) string {
	return cmp.Or(codesByName()[strings.ToLower(strings.TrimSpace(typed))], facts.Country(typed), typed)
}

// How a country is to be given: to programs, and on pages.
const (
	byCode = "give its code in capitals, for example NO or SE"
	byName = "give its English name or its code, for example Norway or NO"
)

func checkCountry(name, value string) error {
	if value == "" || facts.Country(value) != value {
		return pg.Refuse(name, "%q is not a country; "+byCode, value)
	}
	return nil
}
