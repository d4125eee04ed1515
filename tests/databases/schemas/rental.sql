-- A rental shop for films: the shape of Sakila, with rows of our own.
CREATE SCHEMA rental;
CREATE TYPE rental.rating AS ENUM ('G', 'PG', 'PG-13', 'it''s R');
CREATE DOMAIN rental.year AS integer CHECK (value BETWEEN 1901 AND 2155);
CREATE DOMAIN rental.price AS numeric(5, 2) CHECK (value >= 0);
CREATE TABLE rental.countries (id serial PRIMARY KEY, name text NOT NULL, changed_at timestamptz NOT NULL);
CREATE TABLE rental.cities (id serial PRIMARY KEY, name text NOT NULL, country_id integer NOT NULL REFERENCES rental.countries);
CREATE TABLE rental.addresses (
  id serial PRIMARY KEY, street text NOT NULL, city_id integer NOT NULL REFERENCES rental.cities,
  postal_code char(10), place point
);
CREATE TABLE rental.languages (id smallint PRIMARY KEY, name char(20) NOT NULL UNIQUE);
CREATE TABLE rental.actors (id uuid PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, changed_at timestamptz(0));
CREATE TABLE rental.categories (id smallint PRIMARY KEY, name varchar(25) NOT NULL);
CREATE TABLE rental.films (
  id integer PRIMARY KEY,
  title text NOT NULL,
  description text,
  release_year rental.year,
  language_id smallint NOT NULL REFERENCES rental.languages,
  original_language_id smallint REFERENCES rental.languages,
  rental_rate rental.price NOT NULL,
  replacement_cost rental.price,
  rating rental.rating DEFAULT 'G',
  special_features text[],
  allowed_ratings rental.rating[],
  scores numeric(4, 1)[],
  length interval,
  words tsvector,
  poster bytea,
  details jsonb,
  sequel_of integer REFERENCES rental.films DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE rental.film_actors (
  film_id integer REFERENCES rental.films, actor_id uuid REFERENCES rental.actors, role text,
  PRIMARY KEY (actor_id, film_id)
);
CREATE TABLE rental.film_categories (
  film_id integer REFERENCES rental.films, category_id smallint REFERENCES rental.categories,
  PRIMARY KEY (film_id, category_id)
);
-- Stores and their staff refer to each other.
CREATE TABLE rental.stores (id smallint PRIMARY KEY, manager_id smallint NOT NULL UNIQUE, address_id integer NOT NULL REFERENCES rental.addresses);
CREATE TABLE rental.staff (
  id smallint PRIMARY KEY, name text NOT NULL, picture bytea, store_id smallint NOT NULL REFERENCES rental.stores,
  active boolean NOT NULL DEFAULT true, hours int4range, shift time, shift_with_zone timetz
);
ALTER TABLE rental.stores ADD FOREIGN KEY (manager_id) REFERENCES rental.staff DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE rental.inventory (
  film_id integer NOT NULL REFERENCES rental.films, store_id smallint NOT NULL REFERENCES rental.stores, copy smallint NOT NULL,
  UNIQUE (film_id, store_id, copy)
);
CREATE TABLE rental.customers (
  id integer PRIMARY KEY, store_id smallint NOT NULL REFERENCES rental.stores, name text NOT NULL,
  address inet, network cidr, hardware macaddr, created_on date NOT NULL, active bit(1) NOT NULL
);
-- A composite key to a unique constraint that is no primary key; MATCH FULL allows no partial nulls.
CREATE TABLE rental.rentals (
  id bigint PRIMARY KEY, customer_id integer NOT NULL REFERENCES rental.customers, rented_at timestamptz NOT NULL,
  returned_at timestamptz, film_id integer, store_id smallint, copy smallint,
  FOREIGN KEY (film_id, store_id, copy) REFERENCES rental.inventory (film_id, store_id, copy) MATCH FULL
);
CREATE TABLE rental.payments (
  id bigint, rental_id bigint REFERENCES rental.rentals, amount numeric(5, 2) NOT NULL, paid_at timestamp NOT NULL,
  PRIMARY KEY (id, paid_at)
) PARTITION BY RANGE (paid_at);
CREATE TABLE rental.payments_2022 PARTITION OF rental.payments FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE rental.payments_2023 PARTITION OF rental.payments FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY HASH (id);
CREATE TABLE rental.payments_2023_0 PARTITION OF rental.payments_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE rental.payments_2023_1 PARTITION OF rental.payments_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE rental.payments_other PARTITION OF rental.payments DEFAULT;
CREATE TABLE rental.refunds (
  id integer PRIMARY KEY, payment_id bigint, paid_at timestamp, reason text,
  FOREIGN KEY (payment_id, paid_at) REFERENCES rental.payments
);
CREATE TABLE rental.visits (store_id smallint REFERENCES rental.stores, at timestamptz, note text);
CREATE TABLE rental.late_fees (LIKE rental.visits);
CREATE TABLE rental.late_fees_abroad (country text) INHERITS (rental.late_fees);
CREATE VIEW rental.film_list AS
  SELECT f.id, f.title, c.name AS category, array_agg(a.last_name ORDER BY a.last_name) AS actors
  FROM rental.films f LEFT JOIN rental.film_categories fc ON fc.film_id = f.id
  LEFT JOIN rental.categories c ON c.id = fc.category_id LEFT JOIN rental.film_actors fa ON fa.film_id = f.id
  LEFT JOIN rental.actors a ON a.id = fa.actor_id GROUP BY f.id, f.title, c.name;

INSERT INTO rental.countries (name, changed_at) SELECT 'Land ' || n, timestamptz '2020-02-15 09:44:00.5+02' + n * interval '1 s'
  FROM generate_series(1, 10) n;
INSERT INTO rental.cities (name, country_id) SELECT 'Stadt ' || n, n % 10 + 1 FROM generate_series(1, 30) n;
INSERT INTO rental.addresses (street, city_id, postal_code, place) SELECT n || ' Main', n % 30 + 1,
  CASE WHEN n % 3 > 0 THEN n::text END, CASE WHEN n % 4 > 0 THEN point(n / 7.0, -n) END FROM generate_series(1, 40) n;
INSERT INTO rental.languages VALUES (1, 'English'), (2, 'Français'), (3, '日本語');
INSERT INTO rental.actors SELECT md5('actor' || n)::uuid, 'First ' || n, 'Last ' || n % 20, timestamptz '2021-06-01' + n * interval '1 hour'
  FROM generate_series(1, 50) n;
INSERT INTO rental.categories SELECT n, 'Category ' || n FROM generate_series(1, 6) n;
INSERT INTO rental.films
  SELECT n, 'Film ' || n, CASE WHEN n % 5 > 0 THEN repeat('a ''long'' text ', n % 40) END, CASE WHEN n % 6 > 0 THEN 1950 + n % 70 END,
         n % 3 + 1, CASE WHEN n % 4 = 0 THEN n % 2 + 1 END, (n % 5) + 0.99, CASE WHEN n % 9 > 0 THEN 9.99 + n % 20 END,
         (enum_range(NULL::rental.rating))[n % 4 + 1],
         CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['Trailers', NULL, 'a,"b"'] ELSE ARRAY['x'] END,
         CASE WHEN n % 2 = 0 THEN ARRAY['PG', 'it''s R']::rental.rating[] END, ARRAY[n / 10.0, NULL],
         n * interval '61 minutes', to_tsvector('simple', 'Film number ' || n),
         CASE WHEN n % 3 = 0 THEN decode(md5(n::text), 'hex') WHEN n % 3 = 1 THEN '' END,
         CASE WHEN n % 2 = 0 THEN jsonb_build_object('n', n / 4.0, 'tags', jsonb_build_array('é', NULL)) END, NULL
  FROM generate_series(1, 150) n;
UPDATE rental.films SET sequel_of = id + 1 WHERE id % 10 = 3;
INSERT INTO rental.film_actors SELECT n % 150 + 1, md5('actor' || n % 47 + 1)::uuid, 'role ' || n FROM generate_series(1, 400) n;
INSERT INTO rental.film_categories SELECT n, n % 6 + 1 FROM generate_series(1, 150) n;
BEGIN;
INSERT INTO rental.stores VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO rental.staff VALUES (1, 'Ms One', '\x89504e47', 1, true, '[8,16]', '08:00', '08:00:00.25+01'), (2, 'Mr Two', NULL, 2, false, 'empty', '23:59:59.999999', '00:00-12');
COMMIT;
INSERT INTO rental.inventory SELECT n % 150 + 1, n % 2 + 1, n / 150 + 1 FROM generate_series(1, 300) n;
INSERT INTO rental.customers SELECT n, n % 2 + 1, 'Customer ' || n, CASE WHEN n % 2 = 0 THEN ('10.0.0.' || n || '/24')::inet END,
  ('10.' || n || '.0.0/16')::cidr, '08:00:2b:01:02:03', date '2022-02-14' + n, (n % 2)::bit(1) FROM generate_series(1, 60) n;
INSERT INTO rental.rentals SELECT n, n % 60 + 1, timestamptz '2022-05-24 22:53:30.123456+00' + n * interval '3 hours',
  CASE WHEN n % 4 > 0 THEN timestamptz '2022-06-24 22:53:30+00' + n * interval '3 hours' END, i.film_id, i.store_id, i.copy
  FROM generate_series(1, 500) n LEFT JOIN rental.inventory i ON n % 11 > 0 AND i.film_id = n % 150 + 1 AND i.store_id = n % 2 + 1 AND i.copy = 1;
INSERT INTO rental.payments SELECT n, n, n % 12 + 0.99, timestamp '2021-11-30 12:00' + n * interval '2 days' FROM generate_series(1, 500) n;
INSERT INTO rental.refunds SELECT n, p.id, p.paid_at, 'reason ' || n FROM generate_series(1, 40) n LEFT JOIN rental.payments p ON p.id = n * 12;
INSERT INTO rental.visits SELECT n % 2 + 1, timestamptz '2022-01-01' + n % 3 * interval '1 day', NULLIF(n % 5, 0)::text FROM generate_series(1, 60) n;
INSERT INTO rental.late_fees SELECT * FROM rental.visits LIMIT 7;
INSERT INTO rental.late_fees_abroad SELECT *, 'Land' FROM rental.visits LIMIT 5;
CREATE MATERIALIZED VIEW rental.sales_by_store AS SELECT r.store_id, sum(p.amount) AS sales, count(*) AS payments
  FROM rental.payments p JOIN rental.rentals r ON r.id = p.rental_id GROUP BY r.store_id;
