-- A shop for music: the shape of Chinook, with rows of our own.
CREATE SCHEMA music;
CREATE TABLE music.artists (id integer PRIMARY KEY, name varchar(120));
CREATE TABLE music.albums (
  id integer PRIMARY KEY,
  title varchar(160) NOT NULL,
  artist_id integer NOT NULL REFERENCES music.artists ON DELETE CASCADE
);
CREATE TABLE music.genres (id smallint PRIMARY KEY, name varchar(120) UNIQUE);
CREATE TABLE music.media_types (id smallint PRIMARY KEY, name varchar(120) NOT NULL UNIQUE);
CREATE TABLE music.tracks (
  id integer PRIMARY KEY,
  name varchar(200) NOT NULL,
  album_id integer REFERENCES music.albums ON DELETE SET NULL,
  genre_id smallint REFERENCES music.genres,
  media_type varchar(120) NOT NULL REFERENCES music.media_types (name) ON UPDATE CASCADE,
  composer varchar(220),
  milliseconds integer NOT NULL CHECK (milliseconds > 0),
  bytes bigint,
  unit_price numeric(10, 2) NOT NULL
);
CREATE TABLE music.playlists (id integer PRIMARY KEY, name varchar(120));
CREATE TABLE music.playlist_tracks (
  playlist_id integer REFERENCES music.playlists,
  track_id integer REFERENCES music.tracks ON DELETE CASCADE,
  PRIMARY KEY (playlist_id, track_id)
);
CREATE TABLE music.employees (
  id integer PRIMARY KEY,
  last_name varchar(20) NOT NULL,
  reports_to integer REFERENCES music.employees,
  born_on date,
  hired_at timestamp
);
CREATE TABLE music.customers (
  id integer PRIMARY KEY,
  name varchar(60) NOT NULL,
  phone varchar(24),
  email varchar(60) NOT NULL UNIQUE,
  support_rep_id integer REFERENCES music.employees
);
CREATE TABLE music.invoices (
  id integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES music.customers,
  invoiced_at timestamp NOT NULL,
  billing_address varchar(70),
  total numeric(10, 2) NOT NULL
);
CREATE TABLE music.invoice_lines (
  id integer PRIMARY KEY,
  invoice_id integer NOT NULL REFERENCES music.invoices ON DELETE CASCADE,
  track_id integer NOT NULL REFERENCES music.tracks,
  unit_price numeric(10, 2) NOT NULL,
  quantity integer NOT NULL
);
CREATE VIEW music.sales_by_artist AS
  SELECT r.id AS artist_id, r.name, sum(l.unit_price * l.quantity) AS sales
  FROM music.artists r JOIN music.albums a ON a.artist_id = r.id JOIN music.tracks t ON t.album_id = a.id
  JOIN music.invoice_lines l ON l.track_id = t.id GROUP BY r.id;

INSERT INTO music.artists SELECT n, CASE WHEN n % 9 > 0 THEN 'Künstler ' || n END FROM generate_series(1, 40) n;
INSERT INTO music.albums SELECT n, 'Album "' || n || '"', n % 40 + 1 FROM generate_series(1, 80) n;
INSERT INTO music.genres SELECT n, CASE WHEN n < 12 THEN 'Genre ' || n END FROM generate_series(1, 12) n;
INSERT INTO music.media_types VALUES (1, 'AAC'), (2, 'MPEG, 256 kbit/s'), (3, E'tab\tand \\ backslash');
INSERT INTO music.tracks
  SELECT n, 'Track ' || n, CASE WHEN n % 7 > 0 THEN n % 80 + 1 END, n % 12 + 1,
         (SELECT name FROM music.media_types WHERE id = n % 3 + 1),
         CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE E'A.\nB. ' || n END,
         1000 + n * 37, n * 9000000000, 0.99 + n % 2
  FROM generate_series(1, 600) n;
INSERT INTO music.playlists SELECT n, 'List ' || n FROM generate_series(1, 8) n;
INSERT INTO music.playlist_tracks SELECT n % 8 + 1, n FROM generate_series(1, 600) n WHERE n % 3 > 0;
INSERT INTO music.employees SELECT n, 'Person ' || n, NULLIF(n / 2, 0), date '1960-02-29' + n * 1000,
  timestamp '2002-08-14 08:00:00.000001' + n * interval '1 day' FROM generate_series(1, 9) n;
INSERT INTO music.customers SELECT n, 'Kunde ' || n, CASE WHEN n % 2 = 0 THEN '+49 30 ' || n END,
  n || '@example.com', n % 9 + 1 FROM generate_series(1, 30) n;
INSERT INTO music.invoices SELECT n, n % 30 + 1, timestamp '2021-01-01' + n * interval '31 hours',
  'Straße ' || n, n * 1.11 FROM generate_series(1, 100) n;
INSERT INTO music.invoice_lines SELECT n, n % 100 + 1, n * 2 % 600 + 1, 0.99, n % 5 + 1 FROM generate_series(1, 300) n;
