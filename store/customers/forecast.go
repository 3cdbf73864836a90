package customers

// Forecast is what is expected of a customer who bought something, see package value.
type Forecast struct {
	Currency string  `json:"currency"`
	Expected int64   `json:"expected"` // what they are expected to spend in the next twelve months, in minor units
	Alive    float64 `json:"alive"`    // the probability that they may buy again
}

// forecasts is SQL for what is expected of customers in the currency in which lists show it.
const forecasts = "value_people v JOIN value_stores s ON s.store_id = v.store_id AND s.forecast_in = v.currency"

// forecastOf is one of them as a Forecast.
const forecastOf = "jsonb_build_object('currency', v.currency, 'expected', v.expected, 'alive', v.alive)"

// hasForecasts is SQL for whether something is expected of customers of store $1.
const hasForecasts = "EXISTS (SELECT FROM value_stores WHERE store_id = $1 AND forecast_in IS NOT NULL)"

// lookups are SQL for what other tables hold of a customer.
type lookups struct{ tags, forecast string }

// lookedUp are the ids of their tags, and what is expected of them.
var lookedUp = lookups{
	"(SELECT i.tags FROM customer_index i WHERE i.customer_id = c.id)",
	"(SELECT " + forecastOf + " FROM " + forecasts + " WHERE v.store_id = c.store_id AND v.customer_id = c.id)",
}
