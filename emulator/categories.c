#include "categories.h"

#include <string.h>

#include "base/attr.h"

static const struct category {
    const char *id;
    const char *title;
    bool is_assignable;
} categories[] = {
    {"1", "Film & Animation", true},
    {"2", "Autos & Vehicles", true},
    {"10", "Music", true},
    {"15", "Pets & Animals", true},
    {"17", "Sports", true},
    {"18", "Short Movies", false},
    {"19", "Travel & Events", true},
    {"20", "Gaming", true},
    {"21", "Videoblogging", false},
    {"22", "People & Blogs", true},
    {"23", "Comedy", true},
    {"24", "Entertainment", true},
    {"25", "News & Politics", true},
    {"26", "Howto & Style", true},
    {"27", "Education", true},
    {"28", "Science & Technology", true},
    {"29", "Nonprofits & Activism", true},
    {"30", "Movies", false},
    {"43", "Shows", false},
    {"44", "Trailers", false},
};

bool category_is_assignable(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_LEN(categories); i++)
        if (strcmp(categories[i].id, id) == 0)
            return categories[i].is_assignable;
    return false;
}

json_t *categories_list(void)
{
    json_t *items = json_array();
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        json_t *snippet =
            json_pack("{s:s, s:b}", "title", categories[i].title, "assignable", categories[i].is_assignable);
        json_array_append_new(items, json_pack("{s:s, s:s, s:o}", "kind", "youtube#videoCategory", "id",
                                               categories[i].id, "snippet", snippet));
    }
    return items;
}
