"""News clicks at Globo.com's portal G1 (de Souza Pereira Moreira et al. 2018), as tables with plain column names."""

from __future__ import annotations

from pathlib import Path

import duckdb

from shortlist.data.sources.movielens import Tables

_CLICKS = (
    "select user_id, click_article_id as item_id, click_timestamp as timestamp, click_environment as environment, "
    "click_deviceGroup as device, click_os as os, click_country as country, click_region as region, "
    "click_referrer_type as referrer "
    "from read_parquet(?) order by click_timestamp, user_id, click_article_id"
)
_ARTICLES = (
    "select click_article_id as item_id, click_article_id // 4096 as id_range, click_article_id // 512 as id_subrange, "
    "min(click_timestamp) as first_click from read_parquet(?) group by all order by item_id"
)


def globo_clicks(folder: Path) -> Tables:
    """Clicks with the moment's device, place and referrer, in order of time; and what is known of an article.

    The articles' own table (category, publisher, words, time of publication) is not part of the file. Two things stand in
    for it. Ids are numbered category by category, so that the range an id lies in, 4096 or 512 wide, says something of
    what the article is about, and does so before anybody has read it: two clicks in a row fall into one range five times
    as often as chance has it. ``first_click``, milliseconds since 1970, is the first anybody is known to have read it: it
    was published before. It is no feature by default: before its first click nobody can tell it.
    """
    file = str(folder / "clicks.parquet")
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        clicks = connection.sql(_CLICKS, params=[file]).to_arrow_table()
        articles = connection.sql(_ARTICLES, params=[file]).to_arrow_table()
    return Tables(clicks, None, articles)
